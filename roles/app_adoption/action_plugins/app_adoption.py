"""Adopt an application, or create a new one. See DOCUMENTATION."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fargate_ops.adopt.adoption import (
    Adoption,
    Repository,
    Request,
    adopt,
    create,
    with_lock,
    with_revision,
    without_revision,
    write,
)
from fargate_ops.core.problem import OperationsError
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = r"""
module: app_adoption
short_description: Adopt an application, or create a new one
description:
  - Reads the project in O(directory) without running its code, and prints what it meets of the contract and how to meet
    the rest.
  - Writes the application's values into O(inventory)/shared.yml, and a Dockerfile, a lock of its packages and an admin
    command if the project has none. Changes nothing else unless O(edit) is set, and nothing in check mode.
options:
  directory: {type: str, required: true, description: "The application's folder, relative to the working directory."}
  name: {type: str, required: true, description: "The application's name; empty for the project's own."}
  entry: {type: str, required: true, description: "The FastAPI object as C(module:attribute); empty if there is one."}
  overwrite: {type: list, elements: str, required: true, description: "Settings to replace whatever their value is."}
  edit:
    type: bool
    required: true
    description: >-
      Whether to edit the application's code where a point is to do, and to make the first migration, for which the
      application is imported.
  new: {type: bool, required: true, description: "Whether to create the application, in a folder that is empty or new."}
  project: {type: path, required: true, description: "This checkout."}
  inventory: {type: path, required: true, description: "Folder of the inventory."}
  reference: {type: path, required: true, description: "The reference application, whose values are replaced."}
  python: {type: str, required: true, description: "The Python of images, as C(3.13)."}
"""

EXAMPLES = r"""
- name: Adopt an application
  app_adoption:
    directory: ../orders
    name: orders
    entry: ""
    overwrite: []
    edit: false
    new: false
    project: .
    inventory: inventory
    reference: app/api
    python: "3.13"
"""

RETURN = r"""
points:
  description: Maps with C(group), C(subject), C(verdict) (OK, TO DO, optional), C(reason) and C(next_command).
  type: list
  returned: success
written: {type: list, returned: success, description: "Paths of the written files; in check mode, of those to write."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        request = Request(args["directory"], args["name"], args["entry"], tuple(args["overwrite"]), args["edit"])
        folders = {name: Path(args[name]).absolute() for name in ("project", "inventory", "reference")}
        repository = Repository(**folders, python=args["python"])
        adoption = (create if args["new"] else adopt)(request, repository)
        if not self.preview:
            adoption = self._locked(adoption, request, repository)
            write(adoption)
            adoption = self._with_revision(adoption, request, repository)
        self.answer(adoption.report(preview=self.preview))
        written = adoption.written(preview=self.preview)
        return self.done(adoption.what, next_command=adoption.next_command) | {
            "changed": bool(written),
            "points": [point.as_row() for point in adoption.inspection.points],
            "written": [str(path) for path in written],
        }

    def _locked(self, adoption: Adoption, request: Request, repository: Repository) -> Adoption:
        if adoption.lock is None:
            return adoption
        self.say(f"making {os.path.relpath(adoption.lock)} with uv")
        try:
            return with_lock(adoption, request, repository)
        except OperationsError as error:
            self.warn(f"made no {adoption.lock.name}: {error}")
            return adoption

    def _with_revision(self, adoption: Adoption, request: Request, repository: Repository) -> Adoption:
        if adoption.revision is None:
            return adoption
        self.say(f"making {os.path.relpath(adoption.revision)} from the application's models")
        try:
            return with_revision(adoption, request, repository)
        except OperationsError as error:
            self.warn(f"made no {adoption.revision.name}: {error}")
            return without_revision(adoption, str(error))
