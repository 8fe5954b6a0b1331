"""The size of a database's disk: drills shrink it, so that some megabytes fill it."""

from __future__ import annotations

_GIB = 1024**3


class Storage:
    """How many bytes of this machine a GiB of a database's allocated storage takes. Safe to use from any thread."""

    def __init__(self) -> None:
        self._gib_bytes = _GIB

    @property
    def gib_bytes(self) -> int:
        return self._gib_bytes

    @gib_bytes.setter
    def gib_bytes(self, number: float) -> None:
        if not 1 <= number <= _GIB:
            raise ValueError(f"a GiB of storage takes 1 to {_GIB} bytes, not {number:g}")
        self._gib_bytes = int(number)

    def free_bytes(self, allocated_gib: int, used: int) -> float:
        """Return how much of the allocated storage is free, in AWS's bytes, while `used` bytes of this machine are."""
        return max(0.0, allocated_gib * _GIB - used * _GIB / self._gib_bytes)
