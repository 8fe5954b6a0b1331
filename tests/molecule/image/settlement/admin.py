"""What the image of these scenarios has for `python -m settlement.admin prepare`."""

print('{"changed": true}')
