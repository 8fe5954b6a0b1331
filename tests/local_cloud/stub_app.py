"""A small HTTP service for test containers. It can be made to fail in different ways.

It uses only Python's standard library. Environment: ``VERSION`` is the answer of ``/``; ``START_SECONDS`` is the time
before it listens; ``HEALTH`` is the status of ``/healthz``; ``EXIT_CODE`` makes it exit at once; ``IGNORE_TERM`` makes
it ignore SIGTERM; ``EXIT_ON_TERM`` is its exit status after SIGTERM; every ``FAIL_EVERY``-th request to ``/`` is
answered 500. ``/slow/<seconds>`` takes that long, ``/health/<status>`` changes the status of ``/healthz``,
``/exit/<code>`` ends the process, ``/headers`` returns the request's headers with the address that it came from
(``peer``), ``/environment`` the process's environment, ``/write/<path>`` tries to create a file. ``BURN`` is the share
of a core that it uses until ``/calm``. On SIGTERM it finishes the requests in progress and accepts no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time

health = int(os.environ.get("HEALTH", "200"))
fail_every = int(os.environ.get("FAIL_EVERY", "0"))
busy = 0
answered = 0
stopping = asyncio.Event()
calm = threading.Event()


def burn(share: float) -> None:
    began = time.monotonic()
    while share and not calm.is_set():
        if time.thread_time() > (time.monotonic() - began) * share:
            time.sleep(0.01)


async def answer(path: str, headers: dict[str, str]) -> tuple[int, str]:
    global health, answered
    verb, _, argument = path.strip("/").partition("/")
    if verb == "healthz":
        return health, "health"
    if verb == "slow":
        await asyncio.sleep(float(argument))
    elif verb == "health":
        health = int(argument)
    elif verb == "calm":
        calm.set()
    elif verb == "exit":
        os._exit(int(argument))
    elif verb == "headers":
        return 200, json.dumps(headers)
    elif verb == "environment":
        return 200, json.dumps(dict(os.environ))
    elif verb == "write":
        try:
            with open("/" + argument, "w") as file:
                file.write("x")
        except OSError as error:
            return 500, str(error)
    elif verb == "":
        answered += 1
        if fail_every and answered % fail_every == 0:
            return 500, "failed"
    return 200, os.environ.get("VERSION", "")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global busy
    try:
        while not stopping.is_set():
            line = await reader.readline()
            if not line:
                break
            busy += 1
            try:
                path = line.split()[1].decode()
                headers = {}
                while header := (await reader.readline()).decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                headers["peer"] = writer.get_extra_info("peername")[0]
                status, text = await answer(path, headers)
                body = text.encode()
                close = stopping.is_set() or headers.get("connection") == "close"
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
                    f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
            finally:
                busy -= 1
            if close:
                break
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    if os.environ.get("IGNORE_TERM"):
        loop.add_signal_handler(signal.SIGTERM, lambda: None)
    else:
        loop.add_signal_handler(signal.SIGTERM, stopping.set)
    server = await asyncio.start_server(serve, "0.0.0.0", int(os.environ.get("PORT", "8000")))
    print("listening", os.environ.get("VERSION", ""), flush=True)
    await stopping.wait()
    server.close()
    while busy:
        await asyncio.sleep(0.02)
    print("bye", flush=True)


if "EXIT_CODE" in os.environ:
    print("cannot start", flush=True)
    sys.exit(int(os.environ["EXIT_CODE"]))
time.sleep(float(os.environ.get("START_SECONDS", "0")))
threading.Thread(target=burn, args=(float(os.environ.get("BURN", "0")),), daemon=True).start()
with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
os._exit(int(os.environ.get("EXIT_ON_TERM", "0")))
