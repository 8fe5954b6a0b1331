"""The output of `python -m storefront.admin prepare` in these scenarios."""

print('{"schema_head": "0001", "changed": true}')
