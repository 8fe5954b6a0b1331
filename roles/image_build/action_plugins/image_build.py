"""Build and push the image of this commit, unless the registry has it. See DOCUMENTATION."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fargate_ops.aws.endpoint import not_answering
from fargate_ops.image import docker_host, engine
from fargate_ops.image.flow import Flow, Settings
from fargate_ops.image.registry import Registry
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = r"""
module: image_build
short_description: Build and push the application's image
description:
  - The version is the short hash of the newest commit that touches O(context), or one of O(libraries) in the same
    repository. A version that the registry has is not built again.
  - Check mode builds and pushes nothing, and needs no Docker engine.
options:
  context: {type: path, required: true, description: "Folder in git with everything that goes into the image."}
  locks: {type: list, elements: str, required: true, description: "Hashed requirement files in it, for C(wheels/)."}
  libraries: {type: list, elements: path, required: true, description: "Folders in git whose wheels go there too."}
  schema_file: {type: str, required: true, description: "The file in the image that describes its schema, or empty."}
  base_image: {type: str, required: true, description: "Build argument BASE_IMAGE."}
  database_ca: {type: list, elements: str, required: true, description: "PEM files or https addresses: C(rds-ca.pem)."}
  python: {type: str, required: true, description: "The image's Python, as C(3.13)."}
  glibc: {type: str, required: true, description: "Newest glibc that a wheel may require, as C(2.28)."}
  docker_host: {type: str, required: true, description: "The Docker engine to use; empty for the current context's."}
  architecture: {type: str, required: true, choices: ["", X86_64, ARM64], description: "Empty for the engine's own."}
  labels: {type: dict, required: true, description: "Additional labels."}
  allow_dirty: {type: bool, required: true, description: "Build uncommitted changes, with a version that marks them."}
  allow_new: {type: bool, required: true, description: "Build a version that the registry does not have."}
  digest: {type: str, required: true, description: "The digest that the image must have; empty for any."}
  version: {type: str, required: true, description: "Use this version from the registry instead of building."}
  registry: {type: str, required: true, description: "Address of the registry."}
  repository: {type: str, required: true, description: "Name of the repository."}
  region: {type: str, required: true, description: "AWS region of the registry."}
  work_dir: {type: path, required: true, description: "Folder in which the context is staged."}
  wheel_cache: {type: path, required: true, description: "Downloaded wheels, shared by all environments."}
"""

RETURN = r"""
work_skipped: {type: bool, returned: success, description: Whether the registry has the image already.}
image:
  description: The fact C(image_build_result) of the role.
  type: dict
  returned: success
  contains:
    version: {type: str, description: "Short hash, followed by C(-dirty-) and a digest for uncommitted changes."}
    tag: {type: str, description: "The same."}
    digest: {type: str, description: "C(sha256:…); null if check mode found no image in the registry."}
    image: {type: str, description: "C(registry/repository@digest), or null."}
    schema_head: {type: str, description: "Its newest schema revision; empty if none is known."}
    schema_compatible: {type: list, description: "Schema heads whose code works with that revision."}
    architecture: {type: str, description: "C(X86_64), C(ARM64), or null if not known yet."}
    built: {type: bool, description: "Whether this run built it."}
    sbom: {type: str, description: "Address of its bill of materials (CycloneDX), or null."}
    sbom_stored: {type: bool, description: "Whether this run stored it, or would store it in check mode."}
"""

#: Arguments that are passed to `Settings` unchanged.
AS_GIVEN = (
    "schema_file",
    "base_image",
    "python",
    "glibc",
    "architecture",
    "allow_dirty",
    "allow_new",
    "version",
    "digest",
)


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        environment, required = {**os.environ, **self.aws_environment}, args["docker_host"]
        flow = Flow(
            settings=Settings(
                context=Path(args["context"]).absolute(),
                libraries=tuple(Path(library).absolute() for library in args["libraries"]),
                locks=tuple(args["locks"]),
                database_ca=tuple(location for location in args["database_ca"] if location),
                labels={key: str(value) for key, value in args["labels"].items()},
                work_dir=Path(args["work_dir"]).absolute(),
                wheel_cache=Path(args["wheel_cache"]).absolute(),
                **{name: args[name] for name in AS_GIVEN},
            ),
            registry=Registry(args["registry"], args["repository"], self.session(args["region"]).client("ecr")),
            connect=lambda: engine.connect(docker_host.find(environment, required)),
            say=lambda line: self.say(f"  {line}"),
            preview=self.preview,
            silence=not_answering(self.aws_environment),
        )
        image = flow.run()
        changed = image.built or image.sbom_stored or (self.preview and image.digest is None)
        outcome = {}
        if image.digest and not self.preview:
            outcome = self.done(f"the registry has the image of {image.version}", digest=image.digest)
        return {"changed": changed, "work_skipped": not changed, "image": image.as_dict(), **outcome}
