from __future__ import annotations

import io
import json
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.image import engine, wheels
from fargate_ops.image.flow import Flow, Settings, database_ca
from fargate_ops.image.registry import Configuration, Credentials, Registry, RepositoryMissingError
from tests.unit.image.conftest import git

CERTIFICATE = "-----BEGIN CERTIFICATE-----\n"


class FakeRegistry(Registry):
    """Tags in a dictionary instead of a registry."""

    def __init__(self, *, exists: bool = True) -> None:
        super().__init__("localhost:4566", "settlement", ecr=None)
        self.exists = exists
        self.tags: dict[str, str] = {}
        self.found = Configuration("amd64", {"schema_head": "0009", "schema_compatible": "0008 0009"})

    def digest(self, tag: str) -> str | None:
        if not self.exists:
            raise RepositoryMissingError(self.repository)
        return self.tags.get(tag)

    def newest_tags(self, limit: int) -> list[str]:
        return list(self.tags)[:limit]

    def credentials(self) -> Credentials:
        return Credentials("AWS", "top-secret")

    def configuration(self, digest: str) -> Configuration:
        return self.found

    def attach(self, subject: str, tag: str, media_type: str, title: str, content: bytes, created: str) -> None:
        self.tags[tag] = f"beside {subject}"
        self.attached = json.loads(content)


class FakeEngine:
    """Stands in for the functions of the module `engine`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, registry: FakeRegistry) -> None:
        self.registry = registry
        self.built: dict[str, Any] = {}
        self.pushes: str | Exception = "sha256:new"
        self.arch = "amd64"
        monkeypatch.setattr(engine, "architecture", lambda _: self.arch)
        monkeypatch.setattr(engine, "build", self._build)
        monkeypatch.setattr(engine, "push", self._push)
        monkeypatch.setattr(engine, "read_files", self._read_files)
        monkeypatch.setattr(engine, "read_file", lambda _, tag, path: self.files.get((tag, path)))
        monkeypatch.setattr(engine, "label", self._label)
        self.files: dict[tuple[str, str], bytes] = {}
        self.read: list[str] = []

    def _build(self, _: object, context: Path, tag: str, **arguments: Any) -> None:
        content = {str(p.relative_to(context)): p.read_bytes() for p in context.rglob("*") if p.is_file()}
        self.built = {"tag": tag, "context": content, **arguments}
        self.files[tag, "srv/schema.json"] = b'{"head": "b2", "compatible": ["a1", "b2"]}'

    def _label(self, _: object, tag: str, labels: dict[str, str]) -> None:
        assert tag == self.built["tag"]
        assert tag.rpartition(":")[2] not in self.registry.tags, "it would be pushed without these"
        self.built["labels"] |= labels

    def _read_files(self, _: object, image: str, *__: object) -> tuple[dict[str, bytes], dict[str, str]]:
        self.read.append(image)
        return {"opt/a-1.dist-info/METADATA": b"Name: a\nVersion: 1\n"}, {}

    def _push(self, _: object, name: str, tag: str, credentials: Credentials, say: engine.Say) -> str:
        if isinstance(self.pushes, Exception):
            raise self.pushes
        self.registry.tags[tag] = self.pushes
        return self.pushes


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch, registry: FakeRegistry, tmp_path: Path) -> FakeEngine:
    folder = tmp_path / "downloaded"
    folder.mkdir()
    (folder / "idna.whl").write_bytes(b"wheel")
    monkeypatch.setattr(wheels, "download", lambda *_: folder)
    return FakeEngine(monkeypatch, registry)


@pytest.fixture
def settings(project: Path, tmp_path: Path) -> Settings:
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    return Settings(
        context=project / "app/api",
        libraries=(),
        locks=("requirements.txt",),
        schema_file="srv/schema.json",
        base_image="base@sha256:00",
        database_ca=(str(tmp_path / "ca.pem"),),
        python="3.13",
        glibc="2.28",
        architecture="",
        labels={"fargate.local": "test"},
        allow_dirty=False,
        allow_new=True,
        version="",
        digest="",
        work_dir=tmp_path / "work",
        wheel_cache=tmp_path / "wheels",
    )


class Run:
    """A flow, its output and its result."""

    def __init__(self, settings: Settings, registry: FakeRegistry, *, preview: bool = False, silence: str = "") -> None:
        self.said: list[str] = []
        connect: Any = object
        self.image = Flow(settings, registry, connect, self.said.append, preview, silence).run()


def version_of(project: Path) -> str:
    return git(project, "log", "-1", "--abbrev=12", "--format=%h", "--", "app/api")


def test_what_is_not_in_the_registry_is_built_and_pushed(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine, project: Path
) -> None:
    git(project, "remote", "add", "origin", "https://token@example.com/o/n")
    version = version_of(project)

    run = Run(settings, registry)

    assert run.image.as_dict() == {
        "version": version,
        "tag": version,
        "digest": "sha256:new",
        "image": "localhost:4566/settlement@sha256:new",
        "schema_head": "b2",
        "schema_compatible": ["a1", "b2"],
        "architecture": "X86_64",
        "built": True,
        "sbom": "localhost:4566/settlement:sha256-new.sbom",
        "sbom_stored": True,
    }
    built = fake_engine.built
    assert built["tag"] == f"localhost:4566/settlement:{version}"
    assert built["arguments"] == {"BASE_IMAGE": "base@sha256:00", "GIT_HASH": version}
    assert built["platform"] == ""
    assert {"Dockerfile", "wheels/idna.whl", "rds-ca.pem"} <= built["context"].keys()
    labels = built["labels"]
    assert labels["org.opencontainers.image.revision"] == git(project, "rev-parse", "HEAD")
    assert labels["org.opencontainers.image.source"] == "https://example.com/o/n"
    # The commit's date, not the build's: RFC 3339, in UTC.
    committed = datetime.fromtimestamp(int(git(project, "log", "-1", "--format=%ct")), UTC)
    assert labels["org.opencontainers.image.created"] == f"{committed:%Y-%m-%dT%H:%M:%S}+00:00"
    assert (labels["schema_head"], labels["schema_compatible"], labels["fargate.local"]) == ("b2", "a1 b2", "test")
    assert run.said[-2] == f"pushed settlement:{version}: sha256:new"
    assert run.said[-1].startswith(
        "stored its bill of materials, 0 of Debian, 1 of Python, as localhost:4566/settlement:"
    )
    assert fake_engine.read == [built["tag"]]
    assert registry.attached["metadata"]["timestamp"] == labels["org.opencontainers.image.created"]


def test_what_is_in_the_registry_is_not_built(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine, project: Path
) -> None:
    registry.tags |= {version_of(project): "sha256:there", "sha256-there.sbom": "sha256:sbom"}
    image = Run(settings, registry).image
    assert (image.digest, image.built, image.sbom_stored) == ("sha256:there", False, False)
    assert image.sbom == "localhost:4566/settlement:sha256-there.sbom"
    assert (image.schema_head, image.schema_compatible) == ("0009", ["0008", "0009"])  # the image's own labels
    assert fake_engine.built == {}


@pytest.mark.parametrize("refused", ["attach", "read", "engine"])
def test_a_bill_of_materials_that_is_refused_fails_no_deployment(
    settings: Settings,
    registry: FakeRegistry,
    fake_engine: FakeEngine,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: str,
) -> None:
    def refuse(*_: object) -> Any:
        raise ProblemError("sbom.cdx.json cannot be stored beside the image: Forbidden.", "the registry", "look")

    connect: Any = object
    if refused == "attach":
        monkeypatch.setattr(registry, "attach", refuse)
    elif refused == "read":
        monkeypatch.setattr(engine, "read_files", refuse)
    else:  # nothing is built, and there is no engine to read the image
        registry.tags[version_of(project)] = "sha256:new"
        connect = refuse
    said: list[str] = []
    image = Flow(settings, registry, connect, said.append, False, "").run()
    assert (image.digest, image.sbom, image.sbom_stored) == ("sha256:new", None, False)
    assert said[-1] == (
        f"warning: {version_of(project)} has no bill of materials: sbom.cdx.json cannot be stored beside the image: "
        "Forbidden. The next deployment tries again."
    )


def test_a_bill_of_materials_that_an_interrupted_run_did_not_store_is_stored(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine, project: Path
) -> None:
    registry.tags[version_of(project)] = "sha256:there"
    looked = Run(settings, registry, preview=True)
    assert looked.said[-1] == "would store its bill of materials as localhost:4566/settlement:sha256-there.sbom"
    assert looked.image.sbom_stored
    assert fake_engine.read == []
    image = Run(settings, registry).image
    assert (image.built, image.sbom_stored) == (False, True)
    assert fake_engine.read == ["localhost:4566/settlement@sha256:there"]
    assert not Run(settings, registry).image.sbom_stored


def test_an_image_without_the_label_has_no_known_schema(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine, project: Path
) -> None:
    registry.tags[version_of(project)] = "sha256:there"
    registry.found = Configuration("arm64", {})
    image = Run(settings, registry).image
    assert (image.schema_head, image.schema_compatible, image.architecture) == ("", [], "ARM64")


def test_an_image_that_does_not_say_its_schema_is_not_pushed(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine
) -> None:
    with pytest.raises(ProblemError, match="does not declare its schema: it has no such file"):
        Run(replace(settings, schema_file="elsewhere.json"), registry)
    assert registry.tags == {}
    image = Run(replace(settings, schema_file=""), registry).image
    assert (image.built, image.schema_head) == (True, "")


def test_an_image_of_the_wrong_architecture_is_refused(
    settings: Settings, registry: FakeRegistry, project: Path
) -> None:
    registry.tags[version_of(project)] = "sha256:there"
    with pytest.raises(ProblemError, match="is for X86_64, and this environment wants ARM64"):
        Run(replace(settings, architecture="ARM64"), registry)


def test_another_architecture_is_asked_of_the_builder(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine
) -> None:
    image = Run(replace(settings, architecture="ARM64"), registry).image
    assert fake_engine.built["platform"] == "linux/arm64"
    assert image.architecture == "ARM64"


def test_a_library_goes_into_the_context_as_a_wheel(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine, library: Path
) -> None:
    settings = replace(settings, libraries=(library,))
    looked = Run(settings, registry, preview=True)
    assert "4 files, 3 wheels" in looked.said[0]
    image = Run(settings, registry).image
    assert image.version == git(library, "rev-parse", "--short=12", "HEAD")
    wheels_there = [name for name in fake_engine.built["context"] if name.startswith("wheels/")]
    assert sorted(wheels_there) == ["wheels/idna.whl", "wheels/tiny-0-py3-none-any.whl"]


def test_wheels_and_certificates_are_there_when_they_are_asked_for(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine
) -> None:
    Run(replace(settings, locks=(), database_ca=()), registry)
    assert not {"wheels/idna.whl", "rds-ca.pem"} & fake_engine.built["context"].keys()


def test_an_architecture_that_fargate_does_not_have(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine
) -> None:
    fake_engine.arch = "riscv64"
    with pytest.raises(ProblemError, match="riscv64"):
        Run(settings, registry)


def test_a_check_says_what_it_would_build_and_touches_nothing(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine, project: Path
) -> None:
    run = Run(settings, registry, preview=True)
    assert run.said == [f"would build and push settlement:{version_of(project)}: 4 files, 2 wheels, on base@sha256:00"]
    assert (run.image.digest, run.image.image, run.image.schema_head) == (None, None, "")
    assert fake_engine.built == {}
    assert not settings.work_dir.exists()


@pytest.mark.parametrize(
    ("exists", "silence", "reason"),
    [
        (False, "", "the repository settlement does not exist yet"),
        (True, "it does not answer yet", "it does not answer yet"),
    ],
)
def test_a_check_says_what_it_cannot_know(settings: Settings, exists: bool, silence: str, reason: str) -> None:
    said = Run(settings, FakeRegistry(exists=exists), preview=True, silence=silence).said[0]
    assert said.startswith("would build and push settlement:")
    assert reason in said


def test_a_silent_endpoint_is_an_error_when_it_is_needed(settings: Settings, registry: FakeRegistry) -> None:
    with pytest.raises(ProblemError, match="http://x does not answer"):
        Run(settings, registry, silence="http://x does not answer (Connection refused)")


def test_without_a_repository_the_next_command_is_bootstrap(settings: Settings) -> None:
    with pytest.raises(ProblemError, match=r"playbooks/bootstrap\.yml"):
        Run(settings, FakeRegistry(exists=False))


def test_an_asked_for_version_is_taken_from_the_registry(settings: Settings, registry: FakeRegistry) -> None:
    registry.tags["0123456789ab"] = "sha256:old"
    image = Run(replace(settings, version="0123456789ab", context=Path("/nowhere")), registry).image
    assert (image.version, image.digest, image.schema_head) == ("0123456789ab", "sha256:old", "0009")
    assert (image.sbom, image.sbom_stored) == (None, False)  # there is no source to build it from


@pytest.mark.parametrize(("tags", "known"), [(["b", "a"], "b, a"), ([], "none at all")])
def test_an_asked_for_version_that_is_not_there(
    settings: Settings, registry: FakeRegistry, tags: list[str], known: str
) -> None:
    registry.tags = dict.fromkeys(tags, "sha256:x")
    with pytest.raises(ProblemError, match=f"no image settlement:zz. The newest versions are: {known}"):
        Run(replace(settings, version="zz"), registry)


@pytest.mark.parametrize("setting", [{"allow_new": False}, {"digest": "sha256:verified"}], ids=["not new", "digest"])
def test_a_version_that_may_not_be_built_must_be_there(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine, project: Path, setting: dict[str, Any]
) -> None:
    with pytest.raises(ProblemError, match=rf"(?s)There is no image settlement:{version_of(project)}\..*make build"):
        Run(replace(settings, **setting), registry)
    assert not fake_engine.built
    registry.tags |= {version_of(project): "sha256:verified"}
    image = Run(replace(settings, **setting), registry).image
    assert (image.digest, image.built, image.sbom_stored) == ("sha256:verified", False, False)


@pytest.mark.parametrize("version", ["", "0123456789ab"], ids=["of the commit", "asked for"])
def test_an_image_with_another_digest_than_the_verified_one_is_refused(
    settings: Settings, registry: FakeRegistry, project: Path, version: str
) -> None:
    registry.tags |= {version or version_of(project): "sha256:other"}
    with pytest.raises(ProblemError, match="is sha256:other, and sha256:verified was verified"):
        Run(replace(settings, version=version, digest="sha256:verified"), registry)


def test_an_asked_for_version_in_a_check_before_the_registry_is_there(settings: Settings) -> None:
    run = Run(replace(settings, version="zz"), FakeRegistry(), preview=True, silence="down")
    assert run.image.digest is None
    assert "not known yet: down" in run.said[0]


def test_losing_a_race_takes_the_image_of_the_winner(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine, project: Path
) -> None:
    class Winner(engine.TagTakenError):
        def __str__(self) -> str:
            registry.tags[version_of(project)] = "sha256:theirs"
            return "tag is immutable"

    fake_engine.pushes = Winner()
    run = Run(settings, registry)
    assert run.image.digest == "sha256:theirs"
    assert "another run has pushed" in run.said[-3]


def test_a_registry_that_does_not_keep_what_was_pushed(
    settings: Settings, registry: FakeRegistry, fake_engine: FakeEngine
) -> None:
    fake_engine.pushes = engine.TagTakenError("immutable")
    with pytest.raises(ProblemError, match="the tag is missing there"):
        Run(settings, registry)


def test_a_lock_that_is_not_in_the_context(settings: Settings, registry: FakeRegistry) -> None:
    with pytest.raises(ProblemError, match=r"lacks other\.txt"):
        Run(replace(settings, locks=("requirements.txt", "other.txt")), registry, preview=True)


def test_the_database_ca_has_to_be_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("<html>")
    for location in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(ProblemError, match="no CA certificates"):
            database_ca([str(location)], tmp_path / "copy")


def test_the_database_cas_are_downloaded_into_one_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = {
        "https://example.com/rds.pem": f"rds\n{CERTIFICATE}".encode(),
        "https://example.com/amazon.pem": f"amazon\n{CERTIFICATE.strip()}".encode(),
    }
    monkeypatch.setattr(urllib.request, "urlopen", lambda address, **_: io.BytesIO(served[address]))
    bundle = database_ca(served, tmp_path / "work/ca.pem")
    assert bundle.read_text() == f"rds\n{CERTIFICATE.strip()}\namazon\n{CERTIFICATE.strip()}\n"


def test_a_database_ca_that_cannot_be_downloaded(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="cannot be downloaded"):
        database_ca(["https://127.0.0.1:9/ca.pem"], tmp_path / "ca.pem")
