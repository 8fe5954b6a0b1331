"""Every fidelity patch, in the order in which they are applied.

A patch is a module with ``apply(cloud)``; its docstring says what AWS does and
what the emulator does instead. Append yours here.
"""

from __future__ import annotations

from roles.local_cloud.cloud.patches import ownership
from roles.local_cloud.cloud.runtime import Patch

PATCHES: list[Patch] = [
    ownership.apply,
]
