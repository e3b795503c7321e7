"""Run a moto server that answers one request at a time, as a separate process.

moto checks the condition of a PUT and writes in two steps, so two writers may both win. Behind one lock, the
two are one step. Run as ``python locked_moto.py``: it prints its port and ends with its stdin. With
``--ignore-conditions``, a PUT's ``If-None-Match`` and ``If-Match`` have no effect, as on some services.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class OneAtATime:
    """A WSGI application that holds a lock while *application* answers."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # A body that arrives slowly must not hold up other requests.
        size = environ.get("CONTENT_LENGTH")
        if size:
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(size)))
        with self._lock:
            return list(self._application(environ, start_response))


class WithoutConditions:
    """A WSGI application that ignores the conditions of a PUT."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT":
            for name in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
                environ.pop(name, None)
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer


class QuietHandler(WSGIRequestHandler):
    """A handler that keeps connections open and does not log requests."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (werkzeug's name)
        """Log nothing."""


def end_with_stdin() -> None:
    """End with stdin: a parent that was killed cannot end this process, but its end of the pipe closes."""
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    application: Any = OneAtATime(DomainDispatcherApplication(create_backend_app))
    if "--ignore-conditions" in sys.argv:
        application = WithoutConditions(application)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=QuietHandler)
    print(server.server_port, flush=True)  # noqa: T201
    threading.Thread(target=end_with_stdin, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
