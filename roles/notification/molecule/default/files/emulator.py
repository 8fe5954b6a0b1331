"""Secrets Manager, and a server that replaces Slack: ``emulator.py <folder> <port of the API> <port of Slack>``.

Creates the secret with Slack's address and writes its ARN to ``<folder>/secret_arn``. Appends each message to Slack as
a line to ``<folder>/slack``.
"""

from __future__ import annotations

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

FOLDER, API_PORT, SLACK_PORT = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])


class Slack(BaseHTTPRequestHandler):
    """Accepts every message."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with (FOLDER / "slack").open("ab") as stream:
            stream.write(body + b"\n")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


ThreadedMotoServer(ip_address="127.0.0.1", port=API_PORT, verbose=False).start()
os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{API_PORT}"
secret = boto3.client("secretsmanager").create_secret(
    Name="storefront-molecule/slack-webhook", SecretString=f"http://127.0.0.1:{SLACK_PORT}/services/very-secret"
)
slack = ThreadingHTTPServer(("127.0.0.1", SLACK_PORT), Slack)
(FOLDER / "secret_arn").write_text(secret["ARN"])
slack.serve_forever()
