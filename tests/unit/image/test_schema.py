from __future__ import annotations

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.image.schema import Schema, read_schema


def test_the_schema_is_what_the_images_build_found() -> None:
    content = b'{"head": "b2", "compatible": ["a1", "b2"], "revisions": ["a1", "b2"]}'
    assert read_schema(content, "srv/schema.json") == Schema("b2", ("a1", "b2"))


@pytest.mark.parametrize(
    "content", [None, b"", b"x", b"[]", b"{}", b'{"head": "b2"}', b'{"head": "b2", "compatible": 1}']
)
def test_an_image_that_does_not_say_it_is_refused(content: bytes | None) -> None:
    with pytest.raises(ProblemError, match="does not declare its schema") as caught:
        read_schema(content, "srv/schema.json")
    assert caught.value.problem.where == "/srv/schema.json in the image"
    assert "app_schema_file" in caught.value.problem.next_step
