"""Database administration as the master user."""
