"""Check whether an address is free, and find the process that uses it. Linux only, as the whole local environment."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

#: Of a process's command line: enough for the folder of another checkout in its last argument.
_COMMAND_CHARACTERS = 300


class AddressError(RuntimeError):
    """An address cannot be bound; the message says why and what to do."""


def check_free(address: str, port: int, purpose: str) -> None:
    """Make sure that ``address:port`` can be bound.

    Raises:
        AddressError: the port is taken (the message names the process, if it can be found), or the address does not
            exist on this machine.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                holder = find_listener(port) or "a process that cannot be seen from here"
                raise AddressError(
                    f"port {port} on {address} ({purpose}) is taken by {holder}: stop it, or choose another port"
                ) from error
            if error.errno == errno.EADDRNOTAVAIL:
                raise AddressError(
                    f"{address} ({purpose}) is no address of this machine: "
                    "the Docker network must exist before the cloud starts"
                ) from error
            raise AddressError(f"cannot bind {address}:{port} ({purpose}): {error}") from error


def find_listener(port: int, proc: Path = Path("/proc")) -> str | None:
    """Return ``pid <pid> (<command line>)`` of a process that listens on a TCP port, or None."""
    inodes = _listening_inodes(port, proc)
    if not inodes:
        return None
    links = {f"socket:[{inode}]" for inode in inodes}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if any(os.readlink(descriptor) in links for descriptor in (entry / "fd").iterdir()):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                return f"pid {entry.name} ({command[:_COMMAND_CHARACTERS]})"
        except OSError:  # it has ended, or belongs to another user
            continue
    return None


def _listening_inodes(port: int, proc: Path) -> set[str]:
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            # local address "0100007F:11D6", state 0A = LISTEN, inode
            if columns[3] == "0A" and int(columns[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(columns[9])
    return inodes
