"""What the image of these scenarios has for `python -m settlement.admin prepare`."""

print('{"schema_head": "0001", "changed": true}')
