"""Names of files in archives: any bytes that a file system allows, as text that every program can read.

Both encodings are injective: two files never get the same name.
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"%(25|[89A-F][0-9A-F])")
_LOOKS_ESCAPED = re.compile(r"%(?=25|[89A-F][0-9A-F])")
_NO_TEXT = re.compile("[\udc80-\udcff]")

_LOOKS_ESCAPED_ON_WINDOWS = re.compile(r"%(?=[0-9A-F]{2})")
_REFUSED_BY_WINDOWS = re.compile(r'[\x00-\x1f<>:"\\|?*]|[ .]\Z')
_DEVICE = re.compile(r"(?i:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.DOTALL)


def encoded(raw: bytes) -> str:
    """Return the text for *raw*: UTF-8 unchanged, every other byte as ``%E9``.

    A ``%`` that would be read as such an escape becomes ``%25``.
    """
    text = _LOOKS_ESCAPED.sub("%25", raw.decode("utf-8", "surrogateescape"))
    return _NO_TEXT.sub(lambda match: f"%{ord(match[0]) - 0xDC00:02X}", text)


def decoded(name: str) -> bytes:
    """Return the bytes from which `encoded` made *name*."""
    pieces = _ESCAPED.split(name)  # text, escape, text, …
    return b"".join(
        bytes([int(piece, 16)]) if number % 2 else piece.encode("utf-8", "surrogateescape")
        for number, piece in enumerate(pieces)
    )


def for_windows(part: str) -> str:
    """Return one part of a path as Windows accepts it: rejected characters become escapes like ``%3A``."""
    part = _LOOKS_ESCAPED_ON_WINDOWS.sub("%25", part)
    if _DEVICE.fullmatch(part):
        part = f"%{ord(part[0]):02X}{part[1:]}"
    return _REFUSED_BY_WINDOWS.sub(lambda match: f"%{ord(match[0]):02X}", part)


def leads_outside(path: str, target: str) -> bool:
    """Return whether a link at *path*, relative to the root of a tree, may lead out of the tree.

    Only a target that first climbs and then descends is accepted as inside: in a tree of such links, each
    one stays inside, wherever the others lead. Parents of *path* must be real directories.
    """
    if not target or target.startswith("/") or "\0" in target:
        return True
    parts = [part for part in target.split("/") if part not in {"", "."}]
    climbs = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    return climbs > path.count("/") or ".." in parts[climbs:]
