"""Accounts: each has one currency, which never changes."""
