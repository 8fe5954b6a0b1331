"""Delete rows by mistake, as the master user, some time after a whole second; print that second.

Runs in a one-off admin task. MARK is the name of the accounts.
"""

import json
import os
import time
from datetime import timedelta

from settlement.database import single_use_engine
from settlement.settings import AdminSettings
from sqlalchemy import text

settings = AdminSettings()
engine = single_use_engine(settings, settings.master_username, settings.master_password)
with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
    now = connection.scalar(text("SELECT clock_timestamp()"))
    point = now.replace(microsecond=0) + timedelta(seconds=1)
    time.sleep((point - now).total_seconds() + 0.2)
    done = connection.execute(text("DELETE FROM accounts WHERE name = :mark"), {"mark": os.environ["MARK"]})
print(json.dumps({"point": f"{point:%Y-%m-%dT%H:%M:%SZ}", "deleted": done.rowcount}))
