"""``python -m local_cloud.daemon --config <file>``: run, detach or stop a local cloud, show its status,
or set its pace, its capacity or the size of its storage.

Exit status: 0 done, 1 failed (one line on stderr says why), 2 wrong arguments or configuration.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from local_cloud.core.config import CloudConfig, ConfigError
from local_cloud.daemon import control


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local_cloud.daemon", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON: see config.py")
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="time limit of --detach and --stop"
    )
    verb = parser.add_mutually_exclusive_group()
    verb.add_argument(
        "--detach",
        action="store_true",
        help="start in the background and return when ready; prints {changed, pid}",
    )
    verb.add_argument("--stop", action="store_true", help="stop the cloud and wait; prints {changed}")
    verb.add_argument(
        "--minute",
        type=float,
        metavar="SECONDS",
        help="let a minute of alarms and scaling take 1 to 60 seconds; prints {changed, before}",
    )
    verb.add_argument(
        "--gib",
        type=float,
        metavar="BYTES",
        help="let a GiB of database storage take so many bytes, 2^30 at most; prints {changed, before}",
    )
    verb.add_argument(
        "--capacity",
        choices=["on", "off"],
        help="off: let Fargate start no task until on; prints {changed, before}",
    )
    verb.add_argument("--status", action="store_true", help="print the status as JSON")
    options = parser.parse_args(arguments)
    try:
        config = CloudConfig.load(options.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        if options.detach:
            control.detach(config, options.config, timeout=options.timeout)
        elif options.stop:
            control.stop(config, timeout=options.timeout)
        elif options.minute is not None:
            control.switch(config, control.MINUTE_PATH, options.minute)
        elif options.gib is not None:
            control.switch(config, control.GIB_PATH, options.gib)
        elif options.capacity:
            control.switch(config, control.CAPACITY_PATH, options.capacity == "on")
        elif options.status:
            control.status(config)
        else:
            _run(config)
    except control.CONTROL_ERRORS as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(config: CloudConfig) -> None:
    from local_cloud.daemon import server

    logging.basicConfig(level=config.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    server.run(config)


if __name__ == "__main__":
    sys.exit(main())
