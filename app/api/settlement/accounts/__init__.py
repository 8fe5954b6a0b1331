"""Accounts: each has one currency for life."""
