"""Objects of any size, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cloudq.domain.errors import ObjectTooLarge, StoreUnavailable

PIECE_BYTES = 256 * 1024
"""The size of the part of a streamed object that is held in memory."""

MAX_RESUMPTIONS = 5


def at_most(pieces: Iterator[bytes], max_bytes: int | None, key: str) -> Iterator[bytes]:
    """Yield *pieces*. Raises `ObjectTooLarge` once they are more than *max_bytes*."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if max_bytes is not None and size > max_bytes:
            raise too_large(key, max_bytes)
        yield piece


def too_large(key: str, max_bytes: int) -> ObjectTooLarge:
    """Return the error for an object that is larger than its reader accepts."""
    return ObjectTooLarge(f"{key} is larger than the limit of {max_bytes} bytes")


def resumed(open_at: Callable[[int], Iterator[bytes]]) -> Iterator[bytes]:
    """Yield the pieces from *open_at(0)*; resume a stream that breaks where it broke, a few times.

    A stream that breaks before its first piece is not resumed: the caller can repeat the request.
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
