"""Ports of the loopback interface for the servers of tests."""

from __future__ import annotations

import functools
import random
import socket

#: Below those that the kernel gives to outgoing connections: net.ipv4.ip_local_port_range.
_CANDIDATES = range(20000, 32000)
_held: list[socket.socket] = []


def free_port() -> int:
    """Return a port that nothing uses, and that no other process of the tests gets while this one lives."""
    for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
        mark = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                mark.bind(f"\0settlement-test-port-{port}")  # the kernel forgets the name with the process
                probe.bind(("127.0.0.1", port))
            except OSError:
                mark.close()
                continue
        _held.append(mark)
        return port
    raise AssertionError(f"no port of {_CANDIDATES} is free")


@functools.cache
def closed_port() -> int:
    """Return a port at which nothing listens: this process holds it until it ends."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    port: int = holder.getsockname()[1]
    return port
