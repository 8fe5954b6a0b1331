"""The admin command: `python -m settlement.admin prepare`, for example."""

import sys

from settlement.service import service

if __name__ == "__main__":
    sys.exit(service.admin())
