"""Put a faulty connection before an S3 service: refused, lost, delayed, cut off or slow requests and answers.

Runs as a separate process. Requests pass unchanged, including their Host, so that their signatures stay
valid. Run as ``python faulty_proxy.py UPSTREAM_PORT SHARE SEED BYTES_PER_S``: it prints its port, answers
each line of its stdin with the counts so far, and ends with its stdin.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tests.parts.s3_services import S3Service

HOST = "127.0.0.1"
MAX_HEAD_BYTES = 1 << 20
CHUNK_BYTES = 1 << 16
"""The number of bytes that a connection may send before it is another one's turn."""
SLOW_S = (0.5, 4.0)
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""A value for SO_LINGER: the waiting peer sees the connection break."""

BEFORE = {"slow down": 4, "reset before": 3, "conflict": 3}
"""The kinds of faults before the request took effect, and their weights among all faults."""
AFTER = {"reset after": 4, "error after": 2, "cut": 3, "slow": 1}
"""The kinds of faults after the request took effect, and their weights."""
FAULTS = BEFORE | AFTER

ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{words}</Message></Error>'
STATUSES = {
    "slow down": ("503 Slow Down", "SlowDown", "Reduce your request rate."),
    "conflict": ("409 Conflict", "ConditionalRequestConflict", "A conflicting operation is under way."),
    "error after": ("500 Internal Server Error", "InternalError", "We met an internal error."),
}


RULES = {
    "expired": ("400 Bad Request", "ExpiredToken", "The provided token has expired."),
    "unknown key": (
        "403 Forbidden", "InvalidAccessKeyId", "The access key ID you provided does not exist in our records."
    ),
    "object lock": (
        "400 Bad Request", "InvalidRequest",
        "Content-MD5 OR x-amz-checksum- HTTP header is required for requests with Object Lock parameters",
    ),
    "encryption": (
        "403 Forbidden", "AccessDenied",
        "not authorized to perform: s3:PutObject with an explicit deny in a resource-based policy",
    ),
    "kms": (
        "403 Forbidden", "AccessDenied",
        "User: arn:aws:iam::1:user/me is not authorized to perform: kms:GenerateDataKey on resource: x",
    ),
    "read only": (
        "403 Forbidden", "AccessDenied",
        "User: arn:aws:iam::1:user/me is not authorized to perform: s3:PutObject on resource: x",
    ),
}  # fmt: skip
"""Rules that Amazon S3 enforces and moto does not, by name, and the refusal of each."""
STATUSES |= RULES


class FaultyProxy:
    """The tests' side."""

    def __init__(self, upstream: S3Service, share: float, seed: int, bytes_per_s: int = 0) -> None:
        from attrs import evolve

        port = urlsplit(upstream.endpoint_url).port
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, str(port), str(share), str(seed), str(bytes_per_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.service = evolve(upstream, endpoint_url=f"http://{HOST}:{int(self._process.stdout.readline())}")
        """The service as it is reached through the proxy."""

    def goes_down(self) -> None:
        """Break all connections and refuse new ones."""
        self._tell("down")

    def comes_back(self) -> None:
        """Let connections in again."""
        self._tell("up")

    def heals(self) -> None:
        """Inject no more faults."""
        self._tell("heal")

    def enforces(self, rule: str, word: str = "") -> None:
        """Refuse requests that break a rule of `RULES`; for the rules on keys, *word* is the access key."""
        self._tell(f"rule {rule}={word}")

    def enforces_nothing(self) -> None:
        """Drop all rules."""
        self._tell("no rules")

    def injected(self) -> dict[str, int]:
        """Return the number of faults of each kind; ``passed`` counts the requests without any.

        ``doorbell`` counts the reads of a doorbell: an agent begins each of its cycles with one.
        """
        return self._tell("count")

    def close(self) -> None:
        """End the proxy."""
        self._process.communicate(timeout=30)

    def _tell(self, word: str) -> dict[str, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        counts: dict[str, int] = json.loads(self._process.stdout.readline())
        return counts


@contextmanager
def faulty_way_to(upstream: S3Service, share: float, seed: int) -> Iterator[FaultyProxy]:
    """Run a proxy before *upstream* that injects a fault into a *share* of all requests."""
    proxy = FaultyProxy(upstream, share, seed)
    try:
        yield proxy
    finally:
        proxy.close()


@contextmanager
def slow_way_to(upstream: S3Service, bytes_per_s: int) -> Iterator[FaultyProxy]:
    """Run a proxy before *upstream* that limits the bytes per second of all connections in each direction."""
    proxy = FaultyProxy(upstream, 0.0, 0, bytes_per_s)
    try:
        yield proxy
    finally:
        proxy.close()


class Line:
    """One direction of a line: connections take turns, one chunk each."""

    def __init__(self, bytes_per_s: int) -> None:
        self._bytes_per_s = bytes_per_s
        self._is_free_at = 0.0

    async def carry(self, size: int) -> None:
        """Wait until *size* bytes have passed."""
        if self._bytes_per_s:
            now = asyncio.get_running_loop().time()
            self._is_free_at = max(self._is_free_at, now) + size / self._bytes_per_s
            await asyncio.sleep(self._is_free_at - now)


class Proxy:
    """The proxy's side."""

    def __init__(self, upstream_port: int, share: float, seed: int, bytes_per_s: int) -> None:
        self._up, self._down = Line(bytes_per_s), Line(bytes_per_s)
        self._limit = CHUNK_BYTES if bytes_per_s else MAX_HEAD_BYTES
        self._upstream_port = upstream_port
        self._share = share
        self._chance = random.Random(seed)
        self._counts: Counter[str] = Counter()
        self._rules: dict[str, str] = {}
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        # No other process may take the port while this is down, and connections must then be refused.
        self._placeholder = _bound(0)
        self._port: int = self._placeholder.getsockname()[1]

    async def run(self) -> None:
        """Serve until stdin ends."""
        await self.up()
        print(self._port, flush=True)  # noqa: T201
        orders = {"down": self.down, "up": self.up, "heal": self.heal}
        lines = await _lines_of_stdin()
        while word := (await lines.readline()).decode().strip():
            if word in orders:
                await orders[word]()
            elif word.startswith("rule "):
                rule, _, about = word.removeprefix("rule ").partition("=")
                self._rules[rule] = about
            elif word == "no rules":
                self._rules.clear()
            print(json.dumps(self._counts), flush=True)  # noqa: T201

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=_bound(self._port), limit=self._limit)

    async def down(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in set(self._connections):
            _reset(writer)

    async def heal(self) -> None:
        self._share = 0.0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while await self._pass_on(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # one of the two sides is gone
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass on one request and its answer; return whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        if _value(head, b"expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = b"\r\n".join(
                line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:")
            )
        body = await self._received(reader, int(_value(head, b"content-length") or 0))
        self._counts.update(["doorbell"] if b"/doorbell/" in head.split(b"\r\n", 1)[0] else [])
        fault = self._broken_rule(head) or self._fault(head)
        self._counts[fault or "passed"] += 1
        if fault == "reset before":
            return _reset(writer)
        answer_head, answer_body = b"", b""
        if fault not in BEFORE and fault not in RULES:
            answer_head, answer_body = await self._ask(head, body)
        if fault == "reset after" or (fault == "cut" and not answer_body):
            return _reset(writer)
        if fault in STATUSES:
            answer_head, answer_body = _error(fault, is_head=head.startswith(b"HEAD "))
        if fault == "slow":
            await asyncio.sleep(self._chance.uniform(*SLOW_S))
        writer.write(answer_head)
        await self._send(writer, answer_body[: len(answer_body) // 2] if fault == "cut" else answer_body)
        if fault == "cut":
            writer.close()  # in good order: the written data must arrive
            return False
        return True

    async def _received(self, reader: asyncio.StreamReader, size: int) -> bytes:
        chunks = []
        for start in range(0, size, CHUNK_BYTES):
            chunks.append(await reader.readexactly(min(CHUNK_BYTES, size - start)))
            await self._up.carry(len(chunks[-1]))
        return b"".join(chunks)

    async def _send(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        for start in range(0, len(body), CHUNK_BYTES):
            chunk = body[start : start + CHUNK_BYTES]
            await self._down.carry(len(chunk))
            writer.write(chunk)
            await writer.drain()
        await writer.drain()

    def _fault(self, head: bytes) -> str:
        if self._chance.random() >= self._share:
            return ""
        [kind] = self._chance.choices(list(FAULTS), list(FAULTS.values()))
        is_conditional = head.startswith(b"PUT ") and (
            _value(head, b"if-match") or _value(head, b"if-none-match")
        )
        return "slow down" if kind == "conflict" and not is_conditional else kind

    def _broken_rule(self, head: bytes) -> str:
        """Return the first rule that a request breaks."""
        return next((rule for rule, about in self._rules.items() if _breaks(rule, about, head)), "")

    async def _ask(self, head: bytes, body: bytes) -> tuple[bytes, bytes]:
        """Return the service's whole answer, over a separate connection."""
        reader, writer = await asyncio.open_connection(HOST, self._upstream_port, limit=MAX_HEAD_BYTES)
        try:
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            while answer.split(maxsplit=2)[1] == b"100":
                answer = await reader.readuntil(b"\r\n\r\n")
            has_body = not head.startswith(b"HEAD ") and answer.split(maxsplit=2)[1] not in (b"204", b"304")
            return answer, await _body(reader, answer) if has_body else b""
        finally:
            writer.close()


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    length = _value(head, b"content-length")
    if length is not None:
        return await reader.readexactly(int(length))
    assert _value(head, b"transfer-encoding") == b"chunked", head
    pieces = []
    while True:
        size = await reader.readuntil(b"\r\n")
        pieces += [size, await reader.readexactly(int(size.split(b";")[0], 16) + 2)]
        if not int(size.split(b";")[0], 16):
            return b"".join(pieces)


def _value(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.strip().lower() == name:
            return value.strip()
    return None


def _breaks(rule: str, about: str, head: bytes) -> bool:
    if rule in {"expired", "unknown key"}:
        return f"Credential={about}/".encode() in (_value(head, b"authorization") or b"")
    if not head.startswith(b"PUT "):
        return False
    if rule == "object lock":
        return _value(head, b"content-md5") is None and b"x-amz-checksum-" not in head.lower()
    if rule == "encryption":
        return _value(head, b"x-amz-server-side-encryption") is None
    return True


def _error(fault: str, *, is_head: bool) -> tuple[bytes, bytes]:
    status, code, words = STATUSES[fault]
    body = ERROR.format(code=code, words=words).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode(), b"" if is_head else body


def _reset(writer: asyncio.StreamWriter) -> bool:
    """Break a connection and return False: it does not stay open."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    writer.transport.abort()
    return False


def _bound(port: int) -> socket.socket:
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.bind((HOST, port))
    return place


async def _lines_of_stdin() -> asyncio.StreamReader:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    return lines


if __name__ == "__main__":
    asyncio.run(Proxy(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])).run())
