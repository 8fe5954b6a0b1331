"""Log in with the task definition's credentials, in a task of the application's image, and print the user."""

import json

from roles.drill.files.connect import connect

cursor = connect("login").cursor()
cursor.execute("SELECT current_user")
print(json.dumps({"user": cursor.fetchone()[0]}), flush=True)
