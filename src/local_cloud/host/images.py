"""The images of the local environment: pulled by digest, or built from Debian packages.

Either all come from the public registry, or all are built here. Existing images are used; the registry is contacted
only if one is missing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_cloud.host import debian, engine
from local_cloud.host.commands import Progress, machine_lock, run
from local_cloud.host.errors import CommandError, LocalCloudError

if TYPE_CHECKING:
    import docker

INPUTS_LABEL = "fargate.local.inputs"
_ENTRYPOINT = Path(__file__).resolve().parents[3] / "roles/local_cloud/files/postgres/docker-entrypoint.sh"
_SCRATCH = "bootstrap-"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class ImageSettings:
    """The sources of images. `public` maps base, postgres and haproxy to references pinned by digest."""

    prefix: str
    public: Mapping[str, str]
    suite: str
    mirror: str
    registry_timeout: float

    @property
    def base(self) -> str:
        """Name of the base image on this machine. A public one has it beside its own name, which builds use."""
        return f"{self.prefix}/base:python3.13-{self.suite}"

    @property
    def postgres(self) -> str:
        """The name that the emulator uses: MINISTACK_IMAGE_PREFIX and its own name."""
        return f"{self.prefix}/postgres:17-alpine"

    @property
    def haproxy(self) -> str:
        return f"{self.prefix}/haproxy:lts"

    @property
    def names(self) -> dict[str, str]:
        """The names on this machine by role."""
        return {"base": self.base, "postgres": self.postgres, "haproxy": self.haproxy}


def recipes(settings: ImageSettings) -> dict[tuple[str, ...], debian.Recipe]:
    """Return the root file systems with their images' names. PostgreSQL and HAProxy share one, to save a bootstrap."""
    base = debian.Recipe(
        suite=settings.suite,
        packages=("ca-certificates", "python3"),
        configuration=(f"ENV PATH={_PATH}", "ENV LANG=C.UTF-8", 'CMD ["python3"]'),
    )
    services = debian.Recipe(
        suite=settings.suite,
        packages=("haproxy", "postgresql-17"),
        hooks=(
            # Debian's package would otherwise run initdb during its installation.
            'mkdir -p "$1/etc/postgresql-common"; echo "create_main_cluster = false" '
            '> "$1/etc/postgresql-common/createcluster.conf"',
        ),
        uploads={str(_ENTRYPOINT): "/usr/local/bin"},
        configuration=(
            f"ENV PATH=/usr/lib/postgresql/17/bin:{_PATH}",
            "ENV PGDATA=/var/lib/postgresql/data",
        ),
    )
    return {(settings.base,): base, (settings.postgres, settings.haproxy): services}


def find(client: docker.DockerClient, settings: ImageSettings) -> dict[str, str] | None:
    """Return the references by role (base, postgres, haproxy) if all of them are on this machine."""
    pulled = {role: _image_id(client, reference) for role, reference in settings.public.items()}
    if all(pulled.values()):
        named = {role: _image_id(client, name) for role, name in settings.names.items()}
        return _references(settings, settings.public["base"]) if named == pulled else None
    for names, recipe in recipes(settings).items():
        for name in names:
            if _label(client, name) != recipe.digest():
                return None
    return _references(settings, settings.base)


def expected(settings: ImageSettings) -> dict[str, str]:
    """Return the references before any image exists, as far as they are known without the registry."""
    return _references(settings, settings.public["base"])


def prepare(
    client: docker.DockerClient, settings: ImageSettings, directory: Path, progress: Progress
) -> dict[str, str]:
    """Pull the images, or build them if no registry answers. Return the references by role.

    All environments of a machine share the images: of two that start at the same time, only one builds them.

    Raises:
        LocalCloudError: neither is possible.
    """
    with machine_lock(f"{settings.prefix}-images", progress):
        return find(client, settings) or _prepare(client, settings, directory, progress)


def _prepare(
    client: docker.DockerClient, settings: ImageSettings, directory: Path, progress: Progress
) -> dict[str, str]:
    unreachable = registry_problem(client, settings)
    if unreachable is None:
        for role, reference in settings.public.items():
            progress(f"pulling {reference.partition('@')[0]}")
            client.images.pull(reference).tag(settings.names[role])
        return _references(settings, settings.public["base"])
    progress(f"no public registry ({unreachable}): making the images from Debian packages")
    build(client, settings, directory, progress)
    return _references(settings, settings.base)


def registry_problem(client: docker.DockerClient, settings: ImageSettings) -> str | None:
    """Return why the daemon cannot reach the public registry, or None if it can.

    The daemon makes the request, with its proxy, mirrors and certificates.
    """
    import docker
    import requests

    probing = docker.from_env(timeout=int(settings.registry_timeout))
    try:
        inspect_distribution: Any = probing.api.inspect_distribution
        inspect_distribution(settings.public["base"])
    except (docker.errors.APIError, requests.RequestException) as error:
        explanation = str(getattr(error, "explanation", None) or error)
        return "no answer in time" if isinstance(error, requests.Timeout) else explanation.splitlines()[0][:160]
    finally:
        probing.close()
    return None


def build(client: docker.DockerClient, settings: ImageSettings, directory: Path, progress: Progress) -> None:
    """Build every image with a changed recipe, all at the same time.

    Raises:
        LocalCloudError: mmdebstrap failed, or is missing and cannot be installed.
    """
    need_mmdebstrap(progress)
    mirror = settings.mirror or debian.find_mirror(engine.read_os_release())
    progress(f"Debian mirror {mirror}")
    stale = {
        names: recipe
        for names, recipe in recipes(settings).items()
        if any(_label(client, name) != recipe.digest() for name in names)
    }
    directory.mkdir(parents=True, exist_ok=True)
    for abandoned in directory.glob(f"{_SCRATCH}*"):  # left by a killed run
        shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=_SCRATCH) as scratch, ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(bootstrap, client, names, recipe, Path(scratch) / f"{number}.tar", mirror, progress)
            for number, (names, recipe) in enumerate(stale.items())
        ]
        for job in jobs:
            job.result()


def bootstrap(
    client: docker.DockerClient,
    names: tuple[str, ...],
    recipe: debian.Recipe,
    archive: Path,
    mirror: str,
    progress: Progress,
) -> None:
    """Make the root file system of `recipe` with mmdebstrap, in the file `archive`, and import it under these names.

    Raises:
        LocalCloudError: mmdebstrap failed, or the engine refused its result.
    """
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    options = debian.inherited_apt_options(dump)
    what = f"image {names[0]}"
    command = debian.mmdebstrap_command(recipe, target=archive, mirror=mirror, apt_options=options)
    prefix = engine.as_root()
    try:
        # As root, the bootstrap ends with this process, even if that is killed.
        run([*(prefix or ()), "setpriv", "--pdeathsig", "TERM", *command], what=what, progress=progress)
    except CommandError as error:
        if prefix is not None:
            raise
        raise LocalCloudError(
            f"{error}\nWithout root, mmdebstrap needs user namespaces. Next: make an image registry reachable for the "
            f"Docker daemon (`docker pull debian`), or allow `sudo -n mmdebstrap`."
        ) from error
    repository, _, tag = names[0].rpartition(":")
    changes = [*recipe.configuration, f"LABEL {INPUTS_LABEL}={recipe.digest()}"]
    answer = client.api.import_image(str(archive), repository=repository, tag=tag, changes=changes)
    failure = next((line for line in map(json.loads, answer.splitlines()) if "error" in line), None)
    if failure:
        raise LocalCloudError(f"Docker cannot import {names[0]}: {failure['error']}")
    for name in names[1:]:
        client.images.get(names[0]).tag(name)
    progress(f"{what}: made")


def origin(client: docker.DockerClient, settings: ImageSettings) -> str:
    """Return where `prepare` would take the images from. Changes nothing.

    Raises:
        LocalCloudError: they are not here, no registry answers, and mmdebstrap cannot be installed.
    """
    if find(client, settings):
        return "on this machine"
    if not (unreachable := registry_problem(client, settings)):
        return "from the public registry"
    if shutil.which("mmdebstrap"):
        return "from Debian packages, by mmdebstrap"
    if shutil.which("apt-get") and engine.as_root() is not None:
        return "from Debian packages, by mmdebstrap, which is installed for it"
    raise LocalCloudError(
        f"The images are not here, no image registry answers ({unreachable}), and mmdebstrap is not installed. "
        f"Next: `sudo apt-get install mmdebstrap debian-archive-keyring`."
    )


def need_mmdebstrap(progress: Progress) -> None:
    """Install mmdebstrap unless it is on PATH.

    Raises:
        LocalCloudError: it cannot be installed. The message names the next command.
    """
    if shutil.which("mmdebstrap"):
        return
    try:
        engine.install_packages(["mmdebstrap", "debian-archive-keyring"], progress)
    except LocalCloudError as error:
        raise LocalCloudError(f"No image registry answers, and the images are not here. {error}") from error


def _references(settings: ImageSettings, base: str) -> dict[str, str]:
    return {**settings.names, "base": base}


def _image_id(client: docker.DockerClient, reference: str) -> str | None:
    from docker.errors import ImageNotFound

    try:
        return str(client.images.get(reference).id)
    except ImageNotFound:
        return None


def _label(client: docker.DockerClient, reference: str) -> str | None:
    from docker.errors import ImageNotFound

    try:
        return client.images.get(reference).labels.get(INPUTS_LABEL)
    except ImageNotFound:
        return None
