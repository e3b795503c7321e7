"""Run an S3 service on loopback that gives scripted answers in order, and records the requests."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field, frozen

NOON = "Sat, 31 Jan 2026 12:00:00 GMT"


@frozen
class Answer:
    """An answer of the service; with *promised*, fewer bytes are sent than announced."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(factory=dict)
    promised: int | None = None
    date: str = NOON
    hangs_up: bool = False


@frozen
class Asked:
    """A request as it was received."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@define
class ScriptedS3:
    """The answers to give, the requests received, and the address."""

    endpoint_url: str
    answers: deque[Answer] = field(factory=deque)
    asked: list[Asked] = field(factory=list)


def an_object(body: bytes = b"content", etag: str = "e1", **headers: str) -> Answer:
    """Return an object, or the answer to a PUT or HEAD of one."""
    return Answer(body=body, headers={"ETag": f'"{etag}"', "Last-Modified": NOON, **headers})


def an_error(status: int, code: str = "", message: str = "the store's words") -> Answer:
    """Return an error in the form of S3; without a code, in the form of an answer to HEAD."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>" if code else ""
    return Answer(status, body.encode())


@contextmanager
def scripted_s3(*answers: Answer) -> Iterator[ScriptedS3]:
    """Serve *answers* on a free port until the block ends."""
    service = ScriptedS3("", deque(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            service.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            told = service.answers.popleft()
            if told.hangs_up:
                self.close_connection = True
                return
            self.send_response_only(told.status)
            for name, value in {"Date": told.date, **told.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(told.promised or len(told.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body)
            self.close_connection = told.promised is not None

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 (the library's names)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.endpoint_url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield service
        server.shutdown()
