"""Month-end settlement: accounts, their transactions, and what each account closed a month with."""
