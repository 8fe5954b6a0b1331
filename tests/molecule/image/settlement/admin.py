"""The output of `python -m settlement.admin prepare` in these scenarios."""

print('{"schema_head": "0001", "changed": true}')
