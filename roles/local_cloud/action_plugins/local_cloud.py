"""Bring the local environment up or down."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from fargate_ops.core.problem import CompleteError, ProblemError
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
  - With O(state=up), provides a container engine, a network, the images and the emulated cloud, and returns the images
    to use. Creates only what is missing; takes about a second if everything is up.
  - With O(state=down), stops the cloud and removes the containers, volumes, network and state that have its label.
    Built images stay as a cache. A container engine that this environment started is stopped if it is idle.
  - Needs Linux, and this machine's engine on C(/var/run/docker.sock). Refuses a Docker context or C(DOCKER_HOST) that
    selects another engine.
  - With O(state=checked), changes nothing and returns what O(state=up) would need of this machine, as findings.
  - Check mode changes nothing and returns what would be done.
options:
  state: {type: str, required: true, choices: [up, down, checked], description: "The wanted state."}
  project_directory: {type: path, required: true, description: "The checkout."}
  cloud:
    description: The cloud's configuration; its keys are documented in C(src/local_cloud/core/config.py).
    type: dict
    required: true
  network_subnet: {type: str, required: true, description: "Subnet of the Docker network, in CIDR form, at most a /26."}
  images:
    description: The sources of the images.
    type: dict
    required: true
    suboptions:
      public:
        description: References pinned by digest.
        type: dict
        required: true
        suboptions:
          base: {type: str, required: true, description: "Base of the application's image."}
          postgres: {type: str, required: true, description: "PostgreSQL 17."}
          haproxy: {type: str, required: true, description: "HAProxy."}
      debian_suite: {type: str, required: true, description: "Debian release of images that are built here."}
      debian_mirror: {type: str, required: true, description: "Debian mirror for those; empty for this machine's own."}
      registry_timeout_seconds:
        {type: int, required: true, description: "Seconds to wait for the public registry before they are built here."}
  database_authority: {type: path, required: true, description: "Path of the databases' CA certificate."}
  forget:
    description: With O(state=down), other paths to remove because they refer to the cloud's state.
    type: list
    elements: path
    default: []
  ready_timeout_seconds: {type: int, required: true, description: "Seconds that the cloud may take to answer."}
  stop_timeout_seconds: {type: int, required: true, description: "Seconds that it may take to stop and save its state."}
"""

EXAMPLES = r"""
- name: Bring the local environment up
  local_cloud:
    project_directory: /srv/storefront
    cloud:
      instance: local
      region: ap-northeast-2
      account_id: "000000000000"
      work_dir: /srv/storefront/.local/local/cloud
      network_name: storefront-local
      gateway_address: 172.31.240.1
    network_subnet: 172.31.240.0/24
    images:
      public:
        base: python:3.13-slim-trixie@sha256:…
        postgres: postgres:17-alpine@sha256:…
        haproxy: haproxy:3.2-alpine@sha256:…
      debian_suite: trixie
      debian_mirror: ""
      registry_timeout_seconds: 5
    database_authority: /srv/storefront/.local/local/rds-ca.pem
    ready_timeout_seconds: 180
    stop_timeout_seconds: 180
"""

RETURN = r"""
findings:
  description: The findings as the role preflight takes them.
  type: list
  elements: dict
  returned: if O(state=checked)
actions: {type: list, elements: str, returned: always, description: "Actions taken, or in check mode those to take."}
images:
  description: The images to use, by V(base), V(postgres) and V(haproxy); in check mode the expected ones.
  type: dict
  returned: if O(state=up)
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if args["state"] == "checked":
            return {"findings": _findings(args)}
        act = environment.up if args["state"] == "up" else environment.down
        try:
            engine.need_linux(platform.system())
            docker_host.find(os.environ, f"unix://{engine.SOCKET}").adopt()
            outcome = act(_settings(args), lambda line: self.say(f"  local cloud: {line}"), check=self.preview)
        except LocalCloudError as error:  # local_cloud does not import fargate_ops
            raise CompleteError(str(error)) from None
        for action in outcome.actions if self.preview else ():
            self.say(f"  local cloud: would do: {action}")
        images = {"images": outcome.images} if args["state"] == "up" else {}
        return {"changed": outcome.changed, "actions": outcome.actions, **images}


def _findings(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the findings as fields of `fargate_ops.core.checks.Finding`."""
    try:
        engine.need_linux(platform.system())
        docker_host.find(os.environ, f"unix://{engine.SOCKET}").adopt()
        found = environment.diagnose(_settings(arguments))
    except LocalCloudError as error:
        found = [environment.Finding("local cloud", "not as needed", (str(error),))]
    except ProblemError as error:
        return [{"check": "docker", "summary": "not the one that is needed", "problems": [error.problem.to_result()]}]
    return [
        {
            "check": finding.check,
            "summary": finding.summary,
            "skipped": finding.unknown,
            "problems": [_problem(text) for text in finding.problems],
        }
        for finding in found
    ]


def _problem(text: str) -> dict[str, str]:
    """Return the fields of `fargate_ops.core.problem.Problem`."""
    what, _, next_step = text.partition(" Next: ")
    next_step = next_step.replace("`", "").removesuffix(".") or "correct it, then make doctor"
    return {"what": what, "where": "this machine", "next_step": next_step}


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
        cloud={**cloud, "load_balancer_image": images.haproxy, "helper_image": images.base},
        network=NetworkSpec(cloud["network_name"], arguments["network_subnet"], cloud["gateway_address"]),
        images=images,
        database_authority=Path(arguments["database_authority"]),
        forget=tuple(Path(path) for path in arguments["forget"]),
        ready_timeout=arguments["ready_timeout_seconds"],
        stop_timeout=arguments["stop_timeout_seconds"],
    )
