"""The last lines of a log, and its lines, from pieces that end anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MAX_TAIL_BYTES = 64 << 20
"""The most that is kept for the last lines, however long they are."""
MAX_LINE_BYTES = 1 << 20
"""A longer line is passed on in parts."""


def last_lines(pieces: Iterable[bytes], count: int, max_bytes: int = MAX_TAIL_BYTES) -> bytes:
    """Return the last *count* lines of a log, and no more than its last *max_bytes*."""
    kept = bytearray()
    for piece in pieces:
        kept += piece
        if len(kept) > 2 * max_bytes:
            del kept[:-max_bytes]
    del kept[: max(0, len(kept) - max_bytes)]
    return bytes(kept[_beginning(kept, count) :])


def _beginning(text: bytearray, count: int) -> int:
    """Return where the last *count* lines of *text* begin."""
    if count <= 0:
        return len(text)
    end = len(text) - text.endswith(b"\n")
    for _ in range(count):
        end = text.rfind(b"\n", 0, end)
        if end < 0:
            return 0
    return end + 1


class Lines:
    """Cut a log into lines; the incomplete last line waits for the next piece."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that *piece* completes, each with its line feed."""
        *lines, waiting = (self._waiting + piece).split(b"\n")
        self._waiting = waiting
        for line in lines:
            yield line + b"\n"
        if len(self._waiting) > MAX_LINE_BYTES:
            yield from self.finish()

    def finish(self) -> Iterator[bytes]:
        """Yield the incomplete last line, with a line feed, if there is one."""
        waiting, self._waiting = self._waiting, b""
        if waiting:
            yield waiting + b"\n"
