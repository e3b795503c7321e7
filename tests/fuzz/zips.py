"""Build zip archives that no ordinary program creates."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable


def an_archive(*entries: tuple[str, bytes], mode: int = 0, compressed: bool = True) -> bytes:
    """Build an archive with *entries*; *mode* is the file type that the last entry states."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for number, (name, content) in enumerate(entries):
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            info.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            if number == len(entries) - 1:
                info.external_attr = (mode or stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return packed.getvalue()


def a_bomb(size: int) -> bytes:
    """Build an archive of *size* zeros."""
    return an_archive(("zeros", b"\0" * size))


def nested(size: int, depth: int) -> bytes:
    """Build archives inside archives; only the outermost one is ever opened."""
    packed = a_bomb(size)
    for _ in range(depth):
        packed = an_archive(("inner.zip", packed))
    return packed


def overlapping(count: int, size: int) -> bytes:
    """Build *count* entries that all unpack the same packed bytes, and so write more than was packed."""
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packed.compress(b"\0" * size) + packed.flush()
    kernel = _local("0", body, size, zlib.crc32(b"\0" * size)) + body
    directory = b"".join(_central(str(n), body, size, zlib.crc32(b"\0" * size), 0) for n in range(count))
    return kernel + directory + _end(count, len(directory), len(kernel))


def quoted_overlap(count: int, size: int) -> bytes:
    """Build entries whose packed bytes each begin with a stored block: the next entry's local header."""
    crc = zlib.crc32(b"\0" * size)
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packed.compress(b"\0" * size) + packed.flush()
    headers = [_local(str(n), body, size, crc) for n in range(count)]
    file, offsets = b"", []
    for number, header in enumerate(headers):
        offsets.append(len(file))
        file += header
        if number < count - 1:
            quoted = len(headers[number + 1])
            file += struct.pack("<BHH", 0, quoted, quoted ^ 0xFFFF)
    start = len(file)
    file += body
    directory = b""
    for number, offset in enumerate(offsets):
        length = start + len(body) - offset - len(headers[number])
        directory += _central(str(number), b"\0" * length, size, crc, offset)
    return file + directory + _end(count, len(directory), len(file))


def with_many_entries(count: int, *, hides_its_size: bool = False) -> bytes:
    """Build a table of contents of *count* empty files.

    With *hides_its_size*, it also states a smaller size.
    """
    entry = _central("n", b"", 0, 0, 0)
    directory = entry * count
    end = _end(min(count, 0xFFFF), len(directory), 0)
    if hides_its_size:
        end = end[:4] + b"PK\5\6" + end[8:]
    return directory + end


def lying_about_its_size(told: int, real: int) -> bytes:
    """Build one entry that unpacks to more than its table of contents states."""
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packed.compress(b"\0" * real) + packed.flush()
    crc = zlib.crc32(b"\0" * told)
    local = _local("zeros", body, told, crc) + body
    directory = _central("zeros", body, told, crc, 0)
    return local + directory + _end(1, len(directory), len(local))


def names_of(archive: bytes) -> Iterable[str]:
    """Return the names as the zipfile module reads them."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.namelist()


def _local(name: str, body: bytes, size: int, crc: int) -> bytes:
    raw = name.encode()
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, crc, len(body), size, len(raw), 0) + raw


def _central(name: str, body: bytes, size: int, crc: int, offset: int) -> bytes:
    raw = name.encode()
    return (
        struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, len(body), size, len(raw), 0, 0, 0, 0,
            (stat.S_IFREG | 0o644) << 16, offset,
        ) + raw
    )  # fmt: skip


def _end(count: int, size: int, offset: int) -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, offset, 0)
