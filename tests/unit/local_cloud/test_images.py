"""Which images of this machine are good enough, so that no registry has to be asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import ImageNotFound

from local_cloud.host.images import INPUTS_LABEL, ImageSettings, expected, find, recipes

PUBLIC = {"base": "python@sha256:1", "postgres": "postgres@sha256:2", "haproxy": "haproxy@sha256:3"}
SETTINGS = ImageSettings(prefix="settlement-local", public=PUBLIC, suite="trixie", mirror="", registry_timeout=1)
PULLED = {
    **{reference: SimpleNamespace(id=reference, labels={}) for reference in PUBLIC.values()},
    **{name: SimpleNamespace(id=PUBLIC[role], labels={}) for role, name in SETTINGS.names.items()},
}
MADE = {
    name: SimpleNamespace(id=name, labels={INPUTS_LABEL: recipe.digest()})
    for names, recipe in recipes(SETTINGS).items()
    for name in names
}


def engine(images: dict[str, Any]) -> Any:
    """An engine that has these images."""

    def get(reference: str) -> Any:
        if reference not in images:
            raise ImageNotFound(reference)
        return images[reference]

    return SimpleNamespace(images=SimpleNamespace(get=get))


def references(base: str) -> dict[str, str]:
    return {"base": base, "postgres": SETTINGS.postgres, "haproxy": SETTINGS.haproxy}


@pytest.mark.parametrize(
    ("images", "base"),
    [
        pytest.param(PULLED, PUBLIC["base"], id="pulled"),
        pytest.param(MADE, SETTINGS.base, id="made here"),
        pytest.param(
            {**MADE, PUBLIC["base"]: PULLED[PUBLIC["base"]]}, SETTINGS.base, id="made here, one pulled beside"
        ),
    ],
)
def test_what_is_here_is_used(images: dict[str, Any], base: str) -> None:
    assert find(engine(images), SETTINGS) == references(base)


@pytest.mark.parametrize(
    "images",
    [
        pytest.param({}, id="nothing"),
        pytest.param({**PULLED, SETTINGS.postgres: SimpleNamespace(id="older", labels={})}, id="an older postgres"),
        pytest.param({**PULLED, SETTINGS.base: SimpleNamespace(id="older", labels={})}, id="an older base"),
        pytest.param(
            {**MADE, SETTINGS.base: SimpleNamespace(id="x", labels={INPUTS_LABEL: "older"})}, id="another recipe"
        ),
        pytest.param({name: image for name, image in MADE.items() if name != SETTINGS.haproxy}, id="one is missing"),
    ],
)
def test_what_is_not_all_there_is_prepared_anew(images: dict[str, Any]) -> None:
    assert find(engine(images), SETTINGS) is None


def test_a_check_expects_the_public_base() -> None:
    assert expected(SETTINGS) == references(PUBLIC["base"])


def test_a_change_of_the_release_is_another_recipe() -> None:
    other = ImageSettings(**{**SETTINGS.__dict__, "suite": "forky"})
    digests = {recipe.digest() for settings in (SETTINGS, other) for recipe in recipes(settings).values()}
    assert len(digests) == 4
