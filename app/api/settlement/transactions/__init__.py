"""Transactions: posted once, never changed."""
