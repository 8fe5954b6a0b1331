"""Runs in a helper container, as its whole program: sends batches of messages to its namespace's nftables.

Each batch on stdin comes after its length, 4 bytes. For each, a line on stdout has the error number, 0 for success. It
ends when the local cloud closes stdin, or is killed.
"""

import os
import socket
import struct
import sys

NETLINK_NETFILTER = 12


def send(batch: bytes) -> int:
    """Return the first error of a batch. The kernel has answered by the time that it is sent."""
    error = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
        kernel.send(batch)
        try:
            while answer := kernel.recv(65536, socket.MSG_DONTWAIT):
                error = error or -struct.unpack_from("=i", answer, 16)[0]
        except BlockingIOError:
            return error
    return error


def main() -> None:
    while length := sys.stdin.buffer.read(4):
        try:
            result = send(sys.stdin.buffer.read(int.from_bytes(length)))
        except OSError as refusal:
            result = refusal.errno or 1
        os.write(1, b"%d\n" % result)


if __name__ == "__main__":
    main()
