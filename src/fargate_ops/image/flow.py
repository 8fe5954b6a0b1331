"""Build and push the image of a source, unless the registry has it."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import docker

from fargate_ops.aws.endpoint import silence_problem
from fargate_ops.core.problem import ProblemError
from fargate_ops.image import engine, sbom, wheels
from fargate_ops.image.registry import FARGATE_ARCHITECTURES, Registry, RepositoryMissingError
from fargate_ops.image.schema import Schema, read_schema
from fargate_ops.image.source import Source, origin, read_source, stage

_SCHEMA_LABEL, _COMPATIBLE_LABEL = "schema_head", "schema_compatible"
#: An architecture's name in Go and in images → in Python's wheels
_MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}
_CA_TIMEOUT_SECONDS = 30
_TAGS_SHOWN = 10


@dataclass(frozen=True)
class Settings:
    """The role's settings. `architecture` is Fargate's name, or empty for the engine's own.

    `digest` is the one that the image must have in the registry, or empty.
    """

    context: Path
    libraries: tuple[Path, ...]
    locks: tuple[str, ...]
    schema_file: str
    base_image: str
    database_ca: tuple[str, ...]
    python: str
    glibc: str
    architecture: str
    labels: Mapping[str, str]
    allow_dirty: bool
    allow_new: bool
    version: str
    digest: str
    work_dir: Path
    wheel_cache: Path


@dataclass(frozen=True)
class Image:
    """The role's fact. `digest` and `image` are None if a preview found no image in the registry.

    `sbom` is the address of its bill of materials or None, `sbom_stored` whether this run stored it.
    """

    version: str
    tag: str
    digest: str | None
    image: str | None
    schema_head: str
    schema_compatible: list[str]
    architecture: str | None
    built: bool
    sbom: str | None = None
    sbom_stored: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Flow:
    """One run of the role. `silence` is the reason why the registry's API does not answer, or empty."""

    settings: Settings
    registry: Registry
    connect: Callable[[], docker.DockerClient]
    say: engine.Say
    preview: bool
    silence: str = ""

    def run(self) -> Image:
        """Return the image of this source, or of the requested version. Raises ProblemError."""
        if self.settings.version:
            return self._existing_version(
                self.settings.version,
                "repeat the command with -e image_build_version=<one of them>, or without it to build this commit",
            )
        source = read_source(self.settings.context, self.settings.libraries, allow_dirty=self.settings.allow_dirty)
        if self.settings.digest or not self.settings.allow_new:
            return self._existing_version(source.version, "build and push it first: make build, or the workflow build")
        digest, why_unknown = self._look_up(source.version)
        if digest is not None:
            return self._with_sbom(self._existing(source.version, digest), source)
        if self.preview:
            return self._would_build(source, why_unknown)
        return self._build_and_push(source)

    def _look_up(self, version: str) -> tuple[str | None, str]:
        """Return the digest of `version` or None, and in check mode the reason why it could not be looked up."""
        if self.silence and not self.preview:
            raise silence_problem(self.silence)
        if self.silence:
            return None, self.silence
        try:
            return self.registry.digest(version), ""
        except RepositoryMissingError as error:
            if self.preview:
                return None, f"the repository {self.registry.repository} does not exist yet (bootstrap makes it)"
            raise ProblemError(
                f"The image repository {self.registry.repository} does not exist.",
                self.registry.address,
                "ansible-playbook playbooks/bootstrap.yml",
            ) from error

    def _existing_version(self, version: str, next_step: str) -> Image:
        digest, why_unknown = self._look_up(version)
        if digest is not None:
            return self._with_sbom(self._existing(version, digest), None)
        if why_unknown:
            self.say(f"whether {self._named(version)} can be released is not known yet: {why_unknown}")
            return self._unknown(version)
        known = ", ".join(self.registry.newest_tags(_TAGS_SHOWN)) or "none at all"
        raise ProblemError(
            f"There is no image {self._named(version)}. The newest versions are: {known}.",
            self.registry.name,
            next_step,
        )

    def _existing(self, version: str, digest: str) -> Image:
        if self.settings.digest not in ("", digest):
            raise ProblemError(
                f"The image {self._named(version)} is {digest}, and {self.settings.digest} was verified.",
                self.registry.name,
                "deploy this version to the environment that verifies it (the workflow deploy does), then to this one",
            )
        configuration = self.registry.configuration(digest)
        architecture, wanted = _fargate(configuration.architecture), self.settings.architecture
        if wanted and wanted != architecture:
            raise ProblemError(
                f"The image {self._named(version)} is for {architecture}, and this environment wants {wanted}.",
                self.registry.name,
                "change the environment's architecture, or commit a change to the image so that it gets a new version",
            )
        self.say(f"{self._named(version)} is in the registry: {digest}")
        labels = configuration.labels
        head = labels.get(_SCHEMA_LABEL, "")
        schema = Schema(head, tuple(labels.get(_COMPATIBLE_LABEL, head).split()))
        return self._image(version, digest, schema, architecture)

    def _would_build(self, source: Source, why_unknown: str) -> Image:
        pinned = sum(map(wheels.count, self._locks(source).values())) + len(source.libraries)
        self.say(
            f"would build and push {self._named(source.version)}: {len(source.files)} files, {pinned} wheels"
            + (f", on {self.settings.base_image}" if self.settings.base_image else "")
            + (f"; unless it is there already: {why_unknown}" if why_unknown else "")
        )
        return self._unknown(source.version)

    def _build_and_push(self, source: Source) -> Image:
        settings, tag = self.settings, f"{self.registry.name}:{source.version}"
        client = self.connect()
        own = engine.architecture(client)
        architecture = settings.architecture or _fargate(own)
        wanted = next(go for go, fargate in FARGATE_ARCHITECTURES.items() if fargate == architecture)
        target = wheels.Target(settings.python, _MACHINE[wanted], settings.glibc)
        extras: list[tuple[str, Path]] = []
        if locks := self._locks(source):
            extras.append(("wheels", wheels.download(locks, target, settings.wheel_cache, self.say)))
        extras += [(f"wheels/{wheel.name}", wheel) for wheel in self._build_libraries(source)]
        if settings.database_ca:
            extras.append(("rds-ca.pem", database_ca(settings.database_ca, settings.work_dir / "rds-ca.pem")))
        context = settings.work_dir / "context"
        stage(source.files, extras, context)
        self.say(f"building {self._named(source.version)} for {architecture} on {settings.base_image}")
        engine.build(
            client,
            context,
            tag,
            arguments={"BASE_IMAGE": settings.base_image, "GIT_HASH": source.version},
            labels=self._labels(source),
            platform="" if wanted == own else f"linux/{wanted}",
            say=self.say,
        )
        schema = self._read_schema(client, tag)
        digest = self._push(client, source.version)
        return self._with_sbom(self._image(source.version, digest, schema, architecture, built=True), source, client)

    def _build_libraries(self, source: Source) -> Iterator[Path]:
        """Build the wheel of each library, as git stores its files. Yields their paths."""
        for library, files in source.libraries.items():
            folder = self.settings.work_dir / "libraries" / library.name
            stage(files, [], folder)
            yield wheels.build(folder, Path(f"{folder}.wheel"))

    def _with_sbom(self, image: Image, source: Source | None, client: docker.DockerClient | None = None) -> Image:
        """Return `image` with its bill of materials, which is stored if it is missing and the source is known.

        The service does not need it, so a failure does not fail the deployment: the next one tries again.
        """
        tag = sbom.tag(str(image.digest))
        try:
            return self._stored_beside(image, source, tag, client)
        except (ProblemError, docker.errors.DockerException, OSError) as error:
            what = error.problem.what if isinstance(error, ProblemError) else str(error)
            self.say(f"warning: {image.version} has no bill of materials: {what} The next deployment tries again.")
            return image

    def _stored_beside(
        self, image: Image, source: Source | None, tag: str, client: docker.DockerClient | None
    ) -> Image:
        digest = str(image.digest)
        place = f"{self.registry.name}:{tag}"
        if self.registry.digest(tag) is not None:
            return replace(image, sbom=place)
        if source is None:
            return image
        if self.preview:
            self.say(f"would store its bill of materials as {place}")
            return replace(image, sbom_stored=True)
        # After a build, the engine has the image under its version. Otherwise the image is pulled by its digest.
        name = f"{self.registry.name}:{image.version}" if image.built else str(image.image)
        files, variables = engine.read_files(client or self.connect(), name, sbom.wanted, self.registry.credentials())
        subject = sbom.Subject(
            repository=self.registry.repository,
            version=image.version,
            digest=digest,
            architecture=next(go for go, fargate in FARGATE_ARCHITECTURES.items() if fargate == image.architecture),
            created=source.committed_at,
            base_image=self.settings.base_image,
            variables=variables,
        )
        content = sbom.document(subject, files)
        created = subject.created.isoformat()
        self.registry.attach(digest, tag, sbom.MEDIA_TYPE, sbom.TITLE, content, created)
        self.say(f"stored its bill of materials, {sbom.count(content)}, as {place}")
        return replace(image, sbom=place, sbom_stored=True)

    def _push(self, client: docker.DockerClient, version: str) -> str:
        """Push the image; return the digest that the registry has under `version` afterwards."""
        try:
            pushed = engine.push(client, self.registry.name, version, self.registry.credentials(), self.say)
        except engine.TagTakenError as error:
            # Another run pushed this version after the lookup. Tags are immutable and both images are built from the
            # same commit, so use that image, as the next run would.
            pushed = ""
            self.say(f"another run has pushed {self._named(version)} meanwhile ({error}); taking that image")
        digest, _ = self._look_up(version)
        if digest is None or pushed not in ("", digest):
            raise ProblemError(
                f"The registry does not hold what was pushed: {pushed or 'the tag'} is {digest or 'missing'} there.",
                f"{self.registry.name}:{version}",
                "look at who else writes to the repository (CloudTrail: PutImage), then repeat the command",
            )
        self.say(f"pushed {self._named(version)}: {digest}")
        return digest

    def _read_schema(self, client: docker.DockerClient, tag: str) -> Schema:
        """Read the schema from the image built as `tag`, and add it to the image's labels.

        The labels can be read from the registry without pulling the image.
        """
        path = self.settings.schema_file
        if not path:
            return Schema()
        schema = read_schema(engine.read_file(client, tag, path), path)
        self.say(f"its schema is {schema.head}")
        engine.label(client, tag, {_SCHEMA_LABEL: schema.head, _COMPATIBLE_LABEL: " ".join(schema.compatible)})
        return schema

    def _labels(self, source: Source) -> dict[str, str]:
        """https://github.com/opencontainers/image-spec/blob/main/annotations.md"""
        image = "org.opencontainers.image"
        labels = {
            f"{image}.revision": source.commit,
            f"{image}.version": source.version,
            f"{image}.created": source.committed_at.isoformat(),
        }
        if url := origin(self.settings.context):
            labels[f"{image}.source"] = url
        return labels | dict(self.settings.labels)

    def _locks(self, source: Source) -> dict[str, bytes]:
        contents = {file.path: file.content for file in source.files}
        missing = [name for name in self.settings.locks if name not in contents]
        if missing:
            raise ProblemError(
                f"The image's context lacks {', '.join(missing)}.",
                str(self.settings.context),
                "correct app_locks, or write the file: make adopt says how",
            )
        return {name: contents[name] for name in self.settings.locks}

    def _image(self, version: str, digest: str, schema: Schema, architecture: str, *, built: bool = False) -> Image:
        return Image(
            version=version,
            tag=version,
            digest=digest,
            image=f"{self.registry.name}@{digest}",
            schema_head=schema.head,
            schema_compatible=list(schema.compatible),
            architecture=architecture,
            built=built,
        )

    def _unknown(self, version: str) -> Image:
        return Image(
            version=version,
            tag=version,
            digest=None,
            image=None,
            schema_head="",
            schema_compatible=[],
            architecture=self.settings.architecture or None,
            built=False,
        )

    def _named(self, version: str) -> str:
        return f"{self.registry.repository}:{version}"


def _fargate(architecture: str) -> str:
    """Return Fargate's name of an architecture. Raises ProblemError for one that it does not run."""
    if architecture not in FARGATE_ARCHITECTURES:
        raise ProblemError(
            f"Fargate does not run the architecture {architecture}.",
            "the Docker engine, or the image",
            "set image_build_architecture to X86_64 or ARM64",
        )
    return FARGATE_ARCHITECTURES[architecture]


def database_ca(locations: Iterable[str], bundle: Path) -> Path:
    """Write the certificates of all `locations`, which the application trusts for its database, into one file."""
    certificates = [_certificates(location).strip() + b"\n" for location in locations]
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(certificates))
    return bundle


def _certificates(location: str) -> bytes:
    """Return the content of a PEM file or an https address."""
    if location.startswith("https://"):
        try:
            with urllib.request.urlopen(location, timeout=_CA_TIMEOUT_SECONDS) as response:  # noqa: S310 - https only
                content: bytes = response.read()
        except OSError as error:
            raise ProblemError(
                f"The database's CA certificates cannot be downloaded: {getattr(error, 'reason', error)}.",
                location,
                "check that this machine reaches the address, or set image_build_database_ca to a file",
            ) from error
    else:
        path = Path(location)
        content = path.read_bytes() if path.is_file() else b""
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise ProblemError(
            "There are no CA certificates for the database.",
            location,
            "set image_build_database_ca to PEM files or their addresses",
        )
    return content
