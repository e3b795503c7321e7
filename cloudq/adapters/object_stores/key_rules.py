"""The rules for keys that every store can hold, even a directory on any file system.

The stores in memory and in a directory refuse the same keys, so that tests in memory find what users
would meet on disk.
"""

from __future__ import annotations

import os
import re

from cloudq.domain.errors import StoreRefused

RESERVED = ".cloudq"
"""No key may begin with this: the directory store keeps its own files there."""

MAX_KEY_BYTES = 1024
MAX_PART_BYTES = 255

# NFS keeps files that were deleted while a process read them under such names.
_RENAMED_BY_NFS = ".nfs"
# Windows would interpret these as another drive, a stream of another file, or another name.
_NOT_ON_WINDOWS = frozenset('\\:*?"<>|') if os.name == "nt" else frozenset()
_ENDS_NOT_ON_WINDOWS = (" ", ".") if os.name == "nt" else ()

# Nearly every key matches this and needs no further check; all others are checked in detail.
_ORDINARY_PART = "[0-9A-Za-z](?:[0-9A-Za-z_.~%=-]{0,253}[0-9A-Za-z_~%=-])?"
_ORDINARY_KEY = re.compile(f"{_ORDINARY_PART}(?:/{_ORDINARY_PART})*")


def key_parts(key: str) -> tuple[str, ...]:
    """Return the parts of a key between slashes. Raises `StoreRefused` if no store should hold the key."""
    is_ordinary = len(key) <= MAX_KEY_BYTES and _ORDINARY_KEY.fullmatch(key) is not None
    if not is_ordinary and (problem := _problem(key)):
        raise StoreRefused(f"{key!r} cannot be a key: {problem}")
    return tuple(key.split("/"))


def is_valid_part(part: str, *, first: bool) -> bool:
    """Return whether a name may be a part of a key, between slashes."""
    return not _problem_of_part(part, first=first)


def _problem(key: str) -> str:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it is not valid text"
    if size > MAX_KEY_BYTES:
        return f"it is longer than {MAX_KEY_BYTES} bytes"
    problems = (_problem_of_part(part, first=place == 0) for place, part in enumerate(key.split("/")))
    return next(filter(None, problems), "")


def _problem_of_part(part: str, *, first: bool) -> str:
    if part in {"", ".", ".."}:
        return f"{part!r} is not a name"
    if (first and part.startswith(RESERVED)) or part.startswith(_RENAMED_BY_NFS):
        return f"the name {part!r} is reserved"
    if any(character < " " or character == "\x7f" or character in _NOT_ON_WINDOWS for character in part):
        return f"{part!r} has characters that some stores reject"
    if _ENDS_NOT_ON_WINDOWS and part.endswith(_ENDS_NOT_ON_WINDOWS):
        return f"{part!r} ends with a dot or a blank"
    if len(part.encode(errors="surrogatepass")) > MAX_PART_BYTES:
        return f"a part is longer than {MAX_PART_BYTES} bytes"
    return ""
