"""Action plugin: bring the local environment up, or take it down, from the controller."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from fargate_ops.core.problem import ProblemError
from fargate_ops.image import docker_host
from fargate_ops.plugin.action import OperationsAction
from local_cloud import environment
from local_cloud.host import engine
from local_cloud.host.errors import LocalCloudError
from local_cloud.host.images import ImageSettings
from local_cloud.host.network import NetworkSpec

DOCUMENTATION = r"""
name: local_cloud
short_description: Bring the local environment up or down
description:
  - With O(state=up), makes sure that a container engine, a network, the images and the emulated cloud are there, and
    returns the images to use. Nothing is done twice; when all is up it takes about a second.
  - With O(state=down), stops the cloud and removes the containers, volumes, network and state that carry its label.
    Built images stay as a cache; a container engine that this environment started is stopped when it is idle.
  - Needs Linux, and this machine's engine on C(/var/run/docker.sock). A Docker context or C(DOCKER_HOST) that names
    another one is refused.
  - Check mode touches nothing and returns what would be done.
options:
  state:
    description: What is wanted.
    type: str
    choices: [up, down]
    default: up
  project_directory:
    description: The directory that holds C(roles/).
    type: path
    required: true
  cloud:
    description: The cloud's configuration; its keys are documented in C(src/local_cloud/core/config.py).
    type: dict
    required: true
  network_subnet:
    description: Subnet of the Docker network, in CIDR form, at most a /26.
    type: str
    required: true
  images:
    description: Where the images come from.
    type: dict
    required: true
    options:
      public:
        description: References pinned by digest, by role.
        type: dict
        required: true
        options:
          base: {description: Base of the application's image., type: str, required: true}
          postgres: {description: PostgreSQL 17., type: str, required: true}
          haproxy: {description: HAProxy., type: str, required: true}
      debian_suite:
        description: Debian release for images that are made here.
        type: str
        required: true
      debian_mirror:
        description: Debian mirror for those; empty means the one that this machine's apt uses.
        type: str
        default: ""
      registry_timeout_seconds:
        description: How long the public registry may take to answer before the images are made here.
        type: int
        default: 5
  database_authority:
    description: Where the certificate of the databases' CA is written.
    type: path
    required: true
  forget:
    description: With O(state=down), further paths that refer to the cloud's state and are removed with it.
    type: list
    elements: path
    default: []
  ready_timeout_seconds:
    description: How long the cloud may take to answer.
    type: int
    default: 60
  stop_timeout_seconds:
    description: How long the cloud may take to stop and save its state.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Bring the local environment up
  local_cloud:
    project_directory: /srv/settlement
    cloud:
      instance: local
      region: ap-northeast-2
      account_id: "000000000000"
      work_dir: /srv/settlement/.local/local/cloud
      network_name: settlement-local
      gateway_address: 172.31.240.1
    network_subnet: 172.31.240.0/24
    images:
      public:
        base: python:3.13-slim-trixie@sha256:…
        postgres: postgres:17-alpine@sha256:…
        haproxy: haproxy:3.2-alpine@sha256:…
      debian_suite: trixie
    database_authority: /srv/settlement/.local/local/rds-ca.pem
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done; empty when all was as wanted.
  type: list
  elements: str
  returned: always
images:
  description: The images to use, by role (V(base), V(postgres), V(haproxy)); in check mode the expected ones.
  type: dict
  returned: when O(state=up)
"""

_ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["up", "down"], "default": "up"},
    "project_directory": {"type": "path", "required": True},
    "cloud": {"type": "dict", "required": True},
    "network_subnet": {"type": "str", "required": True},
    "images": {
        "type": "dict",
        "required": True,
        "options": {
            "public": {
                "type": "dict",
                "required": True,
                "options": {role: {"type": "str", "required": True} for role in ("base", "postgres", "haproxy")},
            },
            "debian_suite": {"type": "str", "required": True},
            "debian_mirror": {"type": "str", "default": ""},
            "registry_timeout_seconds": {"type": "int", "default": 5},
        },
    },
    "database_authority": {"type": "path", "required": True},
    "forget": {"type": "list", "elements": "path", "default": []},
    "ready_timeout_seconds": {"type": "int", "default": 60},
    "stop_timeout_seconds": {"type": "int", "default": 60},
}

_display = Display()


class ActionModule(OperationsAction):
    """The thin entry; what happens is in `local_cloud.environment`."""

    documentation = DOCUMENTATION
    arguments = _ARGUMENTS

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        check = self.check_mode
        try:
            engine.need_linux(platform.system())
            docker_host.find(os.environ, f"unix://{engine.SOCKET}").adopt()
            settings = _settings(args)
            act = environment.up if args["state"] == "up" else environment.down
            outcome = act(settings, lambda line: _display.display(f"  local cloud: {line}"), check=check)
        except (LocalCloudError, ProblemError) as error:
            raise AnsibleActionFail(str(error)) from None  # or Ansible prints each cause again
        for action in outcome.actions if check else ():
            _display.display(f"  local cloud: would do: {action}")
        result: dict[str, Any] = {"changed": outcome.changed, "actions": outcome.actions}
        if args["state"] == "up":
            result["images"] = outcome.images
        return result


def _settings(arguments: dict[str, Any]) -> environment.Settings:
    cloud = arguments["cloud"]
    chosen = arguments["images"]
    images = ImageSettings(
        prefix=cloud["image_prefix"],
        public=chosen["public"],
        suite=chosen["debian_suite"],
        mirror=chosen["debian_mirror"],
        registry_timeout=chosen["registry_timeout_seconds"],
    )
    return environment.Settings(
        project=Path(arguments["project_directory"]),
        cloud={**cloud, "load_balancer_image": images.haproxy},
        network=NetworkSpec(cloud["network_name"], arguments["network_subnet"], cloud["gateway_address"]),
        images=images,
        database_authority=Path(arguments["database_authority"]),
        forget=tuple(Path(path) for path in arguments["forget"]),
        ready_timeout=arguments["ready_timeout_seconds"],
        stop_timeout=arguments["stop_timeout_seconds"],
    )
