"""What a long run shows while it lasts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
PLAY = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - name: One task that lasts
      ansible.builtin.stat: {path: read}
      register: file
      until: file.stat.exists
      retries: 4
      delay: 1
"""


def test_each_line_reaches_a_pipe_while_the_run_lasts(tmp_path: Path) -> None:
    (tmp_path / "callback_plugins").symlink_to(REPOSITORY / "playbooks/callback_plugins")
    (tmp_path / "play.yml").write_text(PLAY.replace("path: read", f"path: {tmp_path}/read"))
    with subprocess.Popen(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", tmp_path / "play.yml"],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout
        next(line for line in run.stdout if "RETRYING" in line)
        (tmp_path / "read").touch()
        assert "failed=0" in run.stdout.read(), "the line came when the run had ended"
