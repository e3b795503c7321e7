"""Measure `cloudqcli submit` of many scripts in one call, over a connection with a delay for each request."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from common import scratch, seconds_of, spread, table

from tests.parts.site import Site

EMPTY_LIST = (
    b'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>false</IsTruncated>'
    b"<KeyCount>0</KeyCount></ListBucketResult>"
)
"""No agent has reported yet."""


class FarStore(BaseHTTPRequestHandler):
    """As much of S3 as a submission needs; every answer comes after *delay_s*."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    delay_s: ClassVar[float] = 0.03
    objects: ClassVar[dict[str, bytes]] = {}
    requests: ClassVar[Counter[str]] = Counter()
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = unquote(urlsplit(self.path).path)
        with self.lock:
            is_taken = key in self.objects and "If-None-Match" in self.headers
            if not is_taken:
                self.objects[key] = body
        self._answer("PUT", 412 if is_taken else 200, b"", body)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if "list-type" in query:
            self._answer("LIST", 200, EMPTY_LIST)
            return
        body = self.objects.get(unquote(url.path))
        self._answer("GET", 404 if body is None else 200, body or b"", body or b"")

    def _answer(self, kind: str, status: int, answer: bytes, content: bytes = b"") -> None:
        with self.lock:
            self.requests[kind] += 1
        time.sleep(self.delay_s)
        self.send_response(status)
        self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def far_store(delay_s: float) -> Iterator[dict[str, str]]:
    FarStore.delay_s = delay_s
    server = ThreadingHTTPServer(("127.0.0.1", 0), FarStore)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {
            "CLOUDQ_STORE_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "CLOUDQ_STORE_BUCKET": "bench",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.shutdown()


def submit(site: Site, words: list[str]) -> None:
    command = [sys.executable, "-m", "cloudq.entrypoints.cloudqcli", "submit", "--submit_to", "alpha", *words]
    done = subprocess.run(command, env=site.environment(), cwd=site.root, check=True, capture_output=True)
    assert done.stdout.count(b"\n") == len([word for word in words if word.endswith(".sh")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scripts", type=int, default=100)
    parser.add_argument("--delay_ms", type=float, default=30.0)
    chosen = parser.parse_args()
    with scratch() as place, far_store(chosen.delay_ms / 1000) as variables:
        site = Site(Path(place), variables, "alpha")
        names = [site.script("#!/bin/bash\n:\n", f"{number}.sh").name for number in range(chosen.scripts)]
        rows = []
        for words in (["--script", names[0]], ["--scripts", *names]):
            count = len(words) - 1
            FarStore.requests.clear()
            took = [seconds_of(lambda words=words: submit(site, words)) for _ in range(chosen.runs)]
            each = {kind: round(number / chosen.runs) for kind, number in FarStore.requests.items()}
            rows.append((count, spread(took), ", ".join(f"{number} {kind}" for kind, number in each.items())))
    table(f"Submit, {chosen.delay_ms:g} ms per request", ("scripts", "time", "requests"), rows)


if __name__ == "__main__":
    main()
