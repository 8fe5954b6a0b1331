"""`python -m settlement.admin`."""

import sys

from fargate_app.admin.cli import main

sys.exit(main())
