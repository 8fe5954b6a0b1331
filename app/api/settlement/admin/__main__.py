"""`python -m settlement.admin`."""

import sys

from settlement.admin.cli import main

sys.exit(main())
