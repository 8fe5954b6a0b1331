"""An application as a widely used template is built (`tests/apps/template`), from its first deployment to its last day.

It has its own name, port, paths, database, tables and migrations. Only the inventory names them, as `make adopt` writes
it. All tests share one environment. Each depends on those before it.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from fargate_ops.drill.load import Request
from tests.e2e.conftest import Clone, query
from tests.e2e.load import load

pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal, pytest.mark.timeout(900)]

APPLICATION = "tests/apps/template"
SETTINGS = {
    "app_name": "items",
    "app_source_dir": f"{{{{ project_dir }}}}/{APPLICATION}",
    "app_port": 8080,
    "app_health_path": "/api/v1/utils/health-check/",
    "app_ready_path": "/api/v1/utils/ready/",
    "app_version_path": "",
    "app_admin_command": ["python", "-m", "app.admin"],
    "app_schema_file": "srv/app/schema.json",
    "app_database": True,
    "database_name": "items",
}
HEAD, NEXT_HEAD = "17fe62b9d340", "5ad09c71b3e8"
COLUMN = f'''"""Add priority to item

Revision ID: {NEXT_HEAD}
Revises: {HEAD}
"""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT_HEAD}"
down_revision = "{HEAD}"


def upgrade():
    op.add_column("item", sa.Column("priority", sa.Integer(), server_default="3", nullable=False))
'''
MODELS = f"{APPLICATION}/app/models.py"
FIELD = "    description: str | None = Field(default=None, max_length=255)\n"


def version(clone: Clone) -> str:
    return clone.git("log", "-1", "--abbrev=12", "--format=%h", "--", APPLICATION, "src/fargate_app")


def assert_serves(clone: Clone, expected: str) -> None:
    output = clone.make("status").output
    assert re.search(rf"version +{expected}", output), output


def create_item(clone: Clone) -> dict[str, Any]:
    """Create an item of a new user and return it."""
    number = query(clone, 'SELECT count(*) FROM "user"')[0][0]
    status, user = clone.request("/api/v1/users/", {"email": f"{number}@example.com"})
    assert status == 201
    status, item = clone.request("/api/v1/items/", {"title": "a table", "owner_id": user["id"]})
    assert status == 201
    return dict(item)


def test_it_is_adopted_as_it_is(clone: Clone) -> None:
    adopted = clone.make("adopt", f"DIR={APPLICATION}", "NAME=items").output
    assert "TO DO" not in adopted
    assert clone.git("status", "--porcelain") == "M inventory/shared.yml"
    inventory = yaml.safe_load((clone.path / "inventory/shared.yml").read_text())
    assert {name: inventory[name] for name in SETTINGS} == SETTINGS
    assert clone.make("adopt", f"DIR={APPLICATION}", "NAME=items").recap()["changed"] == 0
    clone.git("commit", "--quiet", "--all", "--message", "feat: adopt items")


def test_its_inventory_deploys_it(clone: Clone) -> None:
    clone.make("deploy")
    item = create_item(clone)
    assert clone.request(f"/api/v1/items/{item['id']}")[1] == item
    assert_serves(clone, version(clone))


def test_its_database_is_its_own(clone: Clone) -> None:
    assert query(clone, "SELECT current_database()::text, version_num FROM alembic_version") == [("items", HEAD)]
    tables = query(clone, "SELECT relname FROM pg_stat_user_tables ORDER BY relname")
    assert tables == [("alembic_version",), ("item",), ("user",)]
    grants = query(
        clone,
        "SELECT grantee, table_name, string_agg(privilege_type, ' ' ORDER BY privilege_type)"
        " FROM information_schema.table_privileges WHERE grantee LIKE 'items\\_%' GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert grants == [
        (user, *grant)
        for user in ("items_app", "items_app_clone")
        for grant in (
            ("alembic_version", "SELECT"),
            ("item", "DELETE INSERT SELECT UPDATE"),
            ("user", "INSERT SELECT"),
        )
    ]


def test_a_second_deploy_changes_nothing(clone: Clone) -> None:
    assert clone.make("deploy").recap()["changed"] == 0
    assert "its credentials log in" in clone.make("verify").output


def test_a_second_version_with_a_migration_is_released_and_rolled_back_under_load(clone: Clone) -> None:
    first, item = version(clone), create_item(clone)
    models = (clone.path / MODELS).read_text()
    (clone.path / MODELS).write_text(models.replace(FIELD, f"{FIELD}    priority: int = 3\n"))
    clone.commit(f"{APPLICATION}/app/alembic/versions/{NEXT_HEAD}_add_priority.py", COLUMN)
    clone.git("commit", "--quiet", "--all", "--amend", "--no-edit")

    path = f"/api/v1/items/{item['id']}"
    with load(requests=[Request(name="item", path=path), Request(name="items", path="/api/v1/items/")]):
        clone.make("release")
        assert clone.request(path)[1] == item | {"priority": 3}
        assert_serves(clone, version(clone))
        clone.make("rollback")
    assert clone.request(path)[1] == item
    assert_serves(clone, first)
    # A rollback leaves the schema as it is; the first version writes to it.
    assert query(clone, "SELECT version_num FROM alembic_version") == [(NEXT_HEAD,)]
    assert "priority" not in create_item(clone)
    clone.git("reset", "--quiet", "--hard", "HEAD~1")


@pytest.mark.parametrize(
    "drill", ["broken_release", "task_killed", "database_restart", "pool_exhaustion", "slow_query", "rotation"]
)
def test_a_drill_passes(clone: Clone, drill: str) -> None:
    output = clone.make("drill", f"DRILL={drill}").output
    assert f"VERDICT {drill}: every check passed" in output


def test_the_incident_playbook_looks_at_its_database(clone: Clone) -> None:
    run = clone.make("incident-db")
    assert run.recap()["changed"] == 0
    assert "changed nothing" in run.output
    assert "! missing" not in run.output
    report = max((clone.path / ".local/local/incidents").glob("*.md")).read_text()
    assert "items_app" in report


# Terraform alone waits four minutes: for a new instance, its modification and its deletion.
@pytest.mark.timeout(1500)
def test_deleted_rows_are_restored_beside_the_database_and_the_loss_is_said(clone: Clone) -> None:
    output = clone.make("drill", "DRILL=restore").output
    assert "VERDICT restore: every check passed" in output
    assert "passed  the reported loss is exact to the second: 3 rows" in output
    # The drill leaves everything as it was. The next run lists the restore points.
    run = clone.make("restore")
    assert run.recap()["changed"] == 0
    assert "the original serves" in run.output
    check = clone.make("restore", "CHECK=1", restore_time=re.findall(r"restore_time=(\S+Z)", run.output)[0])
    assert "would write database_restores.yml" in check.output
    assert "is before the first second" in clone.make("restore", restore_time="2020-01-01T00:00:00Z", expect=2).output
    assert not clone.git("status", "--porcelain")
    assert clone.make("deploy").recap()["changed"] == 0


def test_it_is_destroyed(clone: Clone) -> None:
    clone.make("destroy", destroy_confirm="items-local")
    assert clone.aws("ecs").list_clusters()["clusterArns"] == []
    assert clone.aws("rds").describe_db_instances()["DBInstances"] == []
