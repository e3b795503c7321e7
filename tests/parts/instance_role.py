"""Serve the part of EC2's metadata service (version 2) that returns the credentials of a machine's role."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from attrs import define

ROLE = "mine-HeadNode"
TOKEN = "token"
CREDENTIALS = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "ASIAROLEROLEROLEROLE",
    "SecretAccessKey": "of the role",
    "Token": "session",
    "Expiration": "2099-01-01T00:00:00Z",
}
ROLES = "/latest/meta-data/iam/security-credentials/"
ANSWERS = {ROLES: ROLE, ROLES + ROLE: json.dumps(CREDENTIALS)}


@define
class InstanceRole:
    """The service while it runs."""

    port: int
    asked: int = 0
    """The number of times that credentials were returned."""

    @property
    def surroundings(self) -> dict[str, str]:
        """Return the variables that lead to it instead of to 169.254.169.254."""
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{self.port}/"}


@contextmanager
def instance_role() -> Iterator[InstanceRole]:
    """Run the service on loopback."""
    role = InstanceRole(0)

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._answer(200 if self.path == "/latest/api/token" else 404, TOKEN)

        def do_GET(self) -> None:
            if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
                self._answer(401, "")
                return
            role.asked += self.path == ROLES + ROLE
            self._answer(200 if self.path in ANSWERS else 404, ANSWERS.get(self.path, ""))

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the standard library's name)
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        role.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield role
        finally:
            server.shutdown()
