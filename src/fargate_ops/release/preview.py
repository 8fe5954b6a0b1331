"""What a deployment would release, as far as it is known before Terraform's apply: for people, and for an approval.

It reads the service, its task definition and the ledger, and no secret, so that the role of a plan may do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.core.application import Application
from fargate_ops.core.approved_plan import Section, hashed
from fargate_ops.core.problem import ProblemError
from fargate_ops.cost.plan_cost import Tasks
from fargate_ops.ecs.task_definition import (
    Image,
    Settings,
    admin_definition,
    canonical,
    database_secret_in,
    differences,
    digest,
    service_definition,
)
from fargate_ops.ecs.tasks import short
from fargate_ops.release.journal import incarnation
from fargate_ops.state.ledger import Ledger, of_service, serving
from fargate_ops.terraform.stack import Stack

NOT_BUILT = "(not built yet)"
_WHOLE = "the whole"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """``section`` is for the approval, ``lines`` are for the screen. ``running``: None before the first release."""

    section: Section
    lines: Sequence[str]
    running: Tasks | None


@dataclass(frozen=True, kw_only=True)
class _Service:
    """The service before the deployment: its definition in canonical form, and its schema."""

    revision: str
    definition: Mapping[str, Any]
    schema_head: str | None


def planned_image(fact: Mapping[str, Any]) -> Image:
    """Return the image of the fact ``image_build_result``, which has no digest if the image is not built yet."""
    unbuilt = {"digest": NOT_BUILT, "image": NOT_BUILT, "schema_head": NOT_BUILT}
    return Image.from_fact(fact if fact.get("digest") else {**fact, **unbuilt})


def preview(
    clients: Clients,
    stack: Stack,
    application: Application,
    settings: Settings,
    image: Image,
    *,
    bucket: str,
    environment: str,
) -> Preview:
    """Compare what would be released with what serves.

    Only the image is known if `stack` lacks an output: before the first apply, or after one that failed midway.
    """
    section = {"image": {"version": image.version, "digest": image.digest}}
    try:
        service = _service(clients, stack, bucket, environment) if stack else None
        if service:
            return _over(service, stack, application, settings, image, section)
        lines = [f"a first release, of {image.version}"]
    except ProblemError as error:
        lines = [
            f"release of {image.version}: its task definition is known after Terraform's apply. {error.problem.what}"
        ]
    return Preview(section=section, lines=lines, running=None)


def _over(
    service: _Service,
    stack: Stack,
    application: Application,
    settings: Settings,
    image: Image,
    known: Section,
) -> Preview:
    """Compare the release with the `service` that exists. The section of the result also has what is `known`."""
    section = dict(known)
    settings = replace(settings, database_secret_arn=database_secret_in(stack, service.definition))
    wanted = canonical(service_definition(stack, application, settings, image))
    first = service.definition.get("family") != wanted["family"]
    changes = differences(None if first else service.definition, wanted)
    section["task definition"] = {line.partition(": ")[0]: hashed(line) for line in changes} | {_WHOLE: digest(wanted)}
    lines = [f"release of {image.version} over {short(service.revision)}: {'' if changes else 'nothing to release'}"]
    lines += [f"  {line}" for line in changes]
    if application.database:
        admin = canonical(admin_definition(stack, application, settings, image))
        section["admin task definition"] = {_WHOLE: digest(admin)}
        if service.schema_head != image.schema_head:
            migrations = f"schema {service.schema_head or '(none)'} -> {image.schema_head or '(none)'}"
            section["migrations"] = {"schema": migrations}
            lines.append(f"  migrations: {migrations}")
    return Preview(section=section, lines=lines, running=None if first else _tasks(stack, service.definition))


def _service(clients: Clients, stack: Stack, bucket: str, environment: str) -> _Service | None:
    ecs = clients.client("ecs")
    found = ecs.describe_services(cluster=stack.cluster_name, services=[stack.service_name])["services"]
    primary = [item for service in found for item in service["deployments"] if item["status"] == "PRIMARY"]
    if not primary:
        return None
    revision = primary[0]["taskDefinition"]
    releases = Ledger(clients.client("s3"), bucket, environment).releases()
    success = serving(of_service(releases, incarnation(found[0])))
    return _Service(
        revision=revision,
        definition=canonical(ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"]),
        schema_head=success.schema_head if success else None,
    )


def _tasks(stack: Stack, definition: Mapping[str, Any]) -> Tasks:
    return Tasks(
        number=stack.scalable_target.min_capacity,
        cpu=int(definition["cpu"]),
        memory=int(definition["memory"]),
        architecture=definition.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64"),
    )
