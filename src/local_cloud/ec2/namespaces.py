"""Sets the rules in the network namespace of a container.

A helper container joins the namespace, with NET_ADMIN as its only capability, and sends nftables what it gets on its
stdin. It ends with the local cloud, even if that is killed. Nothing changes outside the namespace.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from local_cloud.core.config import CloudConfig
from local_cloud.ec2.nftables import encode
from local_cloud.ec2.rules import Rules

ANSWER_SECONDS = 120.0
"""A busy machine may take seconds to start the helper."""
ROLE_LABEL = "fargate.local.role"
ROLE = "security-groups"
_PROGRAM = Path(__file__).with_name("namespace_helper.py").read_text(encoding="utf-8")


class NamespaceError(RuntimeError):
    """Rules cannot be set in a namespace. The message says why."""


class ContainerGoneError(NamespaceError):
    """The container whose namespace it is does not run."""


class RefusedError(NamespaceError):
    """The engine refuses the helper, or the kernel refuses the rules."""


def _is_running(client: Any, container_id: str) -> bool:
    import docker

    try:
        return bool(client.api.inspect_container(container_id)["State"]["Running"])
    except docker.errors.NotFound:
        return False


class Namespace:
    """The network namespace of a running container."""

    def __init__(self, client: Any, config: CloudConfig, image: str, container_id: str) -> None:
        """Start the helper.

        Raises:
            NamespaceError: it does not start.
        """
        import docker

        self._stream: Any = None
        self._helper: Any = None
        try:
            self._helper = client.containers.create(
                image,
                ["-I", "-S", "-c", _PROGRAM],
                entrypoint=["python3"],
                network_mode=f"container:{container_id}",
                user="0:0",
                cap_drop=["ALL"],
                cap_add=["NET_ADMIN"],
                read_only=True,
                mem_limit="64m",
                stdin_open=True,
                auto_remove=True,
                labels={**config.labels, ROLE_LABEL: ROLE},
            )
            streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            self._stream = client.api.attach_socket(self._helper.id, streams)
            self._stream._sock.settimeout(ANSWER_SECONDS)
            self._helper.start()
        except docker.errors.APIError as error:
            self.close()
            # Its process may have ended at any moment, and each moment has an error of its own.
            gone = not _is_running(client, container_id)
            raise (ContainerGoneError if gone else RefusedError)(str(error.explanation)) from error
        except OSError as error:
            self.close()
            raise NamespaceError(f"the engine does not answer: {error}") from error

    def set(self, rules: Rules | None) -> None:
        """Replace the rules of the namespace in one step; None: every packet passes.

        Raises:
            NamespaceError: they are not set.
        """
        batch = encode(rules)
        try:
            self._stream._sock.sendall(len(batch).to_bytes(4) + batch)
            answer = self._read_line().strip()
        except OSError as error:
            raise NamespaceError(f"the helper does not answer: {error}") from error
        if answer != "0":
            raise RefusedError(os.strerror(int(answer)) if answer.isdigit() else f"the helper has ended: {answer}")

    def close(self) -> None:
        """Remove the helper. The rules stay as long as the namespace."""
        import docker

        if self._stream is not None:
            self._stream.close()
        try:
            if self._helper is not None:
                self._helper.remove(force=True)
        except (docker.errors.APIError, OSError):  # it has ended, and the engine removes it or has removed it
            return

    def _read_line(self) -> str:
        """Return the helper's next line, or what it printed before it ended.

        Each piece of it has a header of 8 bytes: https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Container/operation/ContainerAttach
        """
        output = b""
        while not output.endswith(b"\n") and (header := self._receive(8)):
            output += self._receive(int.from_bytes(header[4:]))
        return output.decode(errors="replace")

    def _receive(self, count: int) -> bytes:
        """Return `count` bytes, or nothing if the helper has ended."""
        received = b""
        while len(received) < count:
            piece: bytes = self._stream._sock.recv(count - len(received))
            if not piece:
                return b""
            received += piece
        return received
