"""Database administration as the master user: `python -m settlement.admin`."""
