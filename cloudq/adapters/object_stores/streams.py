"""Objects of any size, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cloudq.domain.errors import ObjectTooLarge, StoreUnavailable

PIECE_BYTES = 256 * 1024
"""What is held in memory of an object that is streamed."""

MAX_RESUMPTIONS = 5


def at_most(pieces: Iterator[bytes], max_bytes: int | None, key: str) -> Iterator[bytes]:
    """*pieces*, until they are more than *max_bytes*: then raises `ObjectTooLarge`."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if max_bytes is not None and size > max_bytes:
            raise too_large(key, max_bytes)
        yield piece


def too_large(key: str, max_bytes: int) -> ObjectTooLarge:
    """The error for an object beyond what its reader takes."""
    return ObjectTooLarge(f"{key} is larger than the {max_bytes} bytes that it may have")


def resumed(open_at: Callable[[int], Iterator[bytes]]) -> Iterator[bytes]:
    """The pieces from *open_at(0)*; a stream that breaks is taken up where it broke, a few times.

    One that breaks before its first piece is not: whoever asked can ask again.
    """
    offset = 0
    for left in reversed(range(MAX_RESUMPTIONS + 1)):
        try:
            for piece in open_at(offset):
                offset += len(piece)
                yield piece
        except StoreUnavailable:
            if not (left and offset):
                raise
        else:
            return
