"""Rules as messages to the kernel's nftables, which replace the table of a network namespace in one step.

The messages are made here instead of by ``nft``, so that the helper in the namespace needs only Python, which every
environment's base image has. The constants are those of ``linux/netfilter/nf_tables.h``; ``nft list ruleset`` in the
namespace prints the result (https://www.netfilter.org/projects/nftables/).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator

from local_cloud.ec2.rules import Permit, Ports, Rules

TABLE = "security-groups"

_IPV4 = 2
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = 0, 2, 3, 6
_REQUEST, _ACKNOWLEDGE, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_INPUT, _OUTPUT = 1, 3
_DROP, _ACCEPT = 0, 1
_INPUT_NAME, _OUTPUT_NAME, _LAYER_4_PROTOCOL = 6, 7, 16
_EQUAL, _NOT_EQUAL, _AT_MOST, _AT_LEAST = 0, 1, 3, 5
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_SOURCE, _DESTINATION = 12, 16
_ESTABLISHED, _RELATED = 2, 4


def encode(rules: Rules | None) -> bytes:
    """Return the messages, one batch, that make these the only rules of the groups; None: there are none.

    The last message before the batch's end is acknowledged, and each message that fails.
    """
    # A table that may not exist can be deleted only after it was added: https://wiki.nftables.org/wiki-nftables/index.php/Scripting
    messages = [_table(_NEW_TABLE, _CREATE), _table(_DELETE_TABLE)]
    if rules is not None:
        messages.append(_table(_NEW_TABLE, _CREATE))
        for name, hook, interface, side, permits in (
            ("input", _INPUT, _INPUT_NAME, _SOURCE, rules.ingress),
            ("output", _OUTPUT, _OUTPUT_NAME, _DESTINATION, rules.egress),
        ):
            messages.append(_chain(name, hook))
            messages.append(_rule(name, [_meta(interface), _compare(_EQUAL, b"lo".ljust(16, b"\0"))]))
            messages.append(_rule(name, _is_answer()))
            messages += [_rule(name, _matches(permit, side)) for permit in sorted(permits, key=str)]
    return b"".join(_batch(messages))


def _batch(messages: list[tuple[int, int, bytes]]) -> Iterator[bytes]:
    boundary = struct.pack("=BBH", socket.AF_UNSPEC, 0, socket.htons(_SUBSYSTEM))
    yield _message(_BATCH_BEGIN, _REQUEST, 0, boundary)
    for number, (kind, flags, attributes) in enumerate(messages, start=1):
        flags |= _REQUEST | (_ACKNOWLEDGE if number == len(messages) else 0)
        yield _message(_SUBSYSTEM << 8 | kind, flags, number, struct.pack("=BBH", _IPV4, 0, 0) + attributes)
    yield _message(_BATCH_END, _REQUEST, len(messages) + 1, boundary)


def _message(kind: int, flags: int, number: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body


def _table(kind: int, flags: int = 0) -> tuple[int, int, bytes]:
    return kind, flags, _text(1, TABLE)


def _chain(name: str, hook: int) -> tuple[int, int, bytes]:
    """A chain that drops what no rule accepts."""
    place = _attribute(4, _number(1, hook), _number(2, 0))
    return _NEW_CHAIN, _CREATE, _text(1, TABLE) + _text(3, name) + place + _number(5, _DROP) + _text(7, "filter")


def _rule(chain: str, matches: Iterable[bytes]) -> tuple[int, int, bytes]:
    """A rule that accepts the packets with these properties."""
    verdict = _attribute(2, _attribute(2, _number(1, _ACCEPT)))
    accept = _expression("immediate", _number(1, 0), verdict)
    return _NEW_RULE, _CREATE | _APPEND, _text(1, TABLE) + _text(2, chain) + _attribute(4, *matches, accept)


def _matches(permit: Permit, side: int) -> Iterator[bytes]:
    if permit.network.prefixlen:
        yield _payload(_NETWORK_HEADER, side, 4)
        yield _mask(permit.network.netmask.packed)
        yield _compare(_EQUAL, permit.network.network_address.packed)
    if permit.protocol is not None:
        yield _meta(_LAYER_4_PROTOCOL)
        yield _compare(_EQUAL, bytes([permit.protocol]))
    if permit.ports is not None:
        yield from _to_ports(permit.ports)


def _to_ports(ports: Ports) -> Iterator[bytes]:
    first, last = (struct.pack(">H", port) for port in ports)
    yield _payload(_TRANSPORT_HEADER, 2, 2)
    yield _compare(_AT_LEAST, first)
    yield _compare(_AT_MOST, last)


def _is_answer() -> Iterator[bytes]:
    """The packet belongs to a connection that was permitted when it began."""
    yield _expression("ct", _number(1, 1), _number(2, 0))
    yield _mask(struct.pack("=I", _ESTABLISHED | _RELATED))
    yield _compare(_NOT_EQUAL, bytes(4))


def _meta(key: int) -> bytes:
    return _expression("meta", _number(1, 1), _number(2, key))


def _payload(header: int, offset: int, length: int) -> bytes:
    return _expression("payload", _number(1, 1), _number(2, header), _number(3, offset), _number(4, length))


def _mask(mask: bytes) -> bytes:
    width = _number(3, len(mask))
    return _expression("bitwise", _number(1, 1), _number(2, 1), width, _data(4, mask), _data(5, bytes(len(mask))))


def _compare(operator: int, value: bytes) -> bytes:
    return _expression("cmp", _number(1, 1), _number(2, operator), _data(3, value))


def _expression(name: str, *attributes: bytes) -> bytes:
    return _attribute(1, _text(1, name), _attribute(2, *attributes))


def _data(kind: int, value: bytes) -> bytes:
    return _attribute(kind, _attribute(1, value))


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack(">I", value))


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _attribute(kind: int, *values: bytes) -> bytes:
    value = b"".join(values)
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
