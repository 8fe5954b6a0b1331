"""The admin command: `python -m tests.fargate_app.shop.admin`."""

import sys

from tests.fargate_app.shop.app import service

if __name__ == "__main__":
    sys.exit(service.admin())
