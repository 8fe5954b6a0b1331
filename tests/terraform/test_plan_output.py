"""What the guard of `roles/terraform_stack` takes Terraform's word for: that a plan is empty."""

from pathlib import Path

from fargate_ops.terraform.plan import nothing_to_apply
from tests.terraform.terraform import run_terraform

ROOT = """
resource "terraform_data" "this" { input = "No changes." }
output "size" { value = "%s" }
"""


def test_only_a_plan_without_any_change_is_called_empty(tmp_path: Path) -> None:
    main = tmp_path / "main.tf"
    main.write_text(ROOT % "one")
    run_terraform(tmp_path, "init", "-input=false")
    assert not nothing_to_apply(run_terraform(tmp_path, "plan")), "a resource is new"
    run_terraform(tmp_path, "apply", "-auto-approve")
    assert nothing_to_apply(run_terraform(tmp_path, "plan"))
    main.write_text(ROOT % "two")
    assert not nothing_to_apply(run_terraform(tmp_path, "plan")), "an output differs"
    main.write_text("")
    assert not nothing_to_apply(run_terraform(tmp_path, "plan")), "a resource goes"
