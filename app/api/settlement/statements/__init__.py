"""Monthly statements: what each account closed a month with."""
