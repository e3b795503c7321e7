"""The sources and targets of `abci_cs_cp`, and the rules for keys that become files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from urllib.parse import unquote

from attrs import frozen

from cloudq.domain.errors import InvalidInput, RecordRejected
from cloudq.domain.names import on_one_line

MAX_KEY_BYTES = 1024
MAX_NAME_BYTES = 255
MAX_PROBLEMS_SHOWN = 10

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
# Wider than Amazon's current rule: buckets of older and other services have such names.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@frozen
class ObjectPlace:
    """An object, or all objects whose keys begin with a prefix: ``s3://bucket/key``."""

    bucket: str
    key: str

    @property
    def is_prefix(self) -> bool:
        """Return True if this cannot be an object: it ends with a slash, or is the whole bucket."""
        return not self.key or self.key.endswith("/")

    @property
    def prefix(self) -> str:
        """The beginning of all keys below this place."""
        return self.key if self.is_prefix else f"{self.key}/"

    def __str__(self) -> str:
        return on_one_line(f"s3://{self.bucket}/{self.key}")


@frozen
class LocalPlace:
    """A file or a directory."""

    path: str

    @property
    def is_directory(self) -> bool:
        """Return whether the path itself shows that it is a directory, such as by a slash at its end."""
        return self.path.endswith(("/", "/.", "/..")) or self.path in {".", ".."}

    def __str__(self) -> str:
        return on_one_line(self.path)


Place = ObjectPlace | LocalPlace


def parse_place(text: str) -> Place:
    """Parse ``s3://bucket/key``, ``file:///path`` or a path. Raises `InvalidInput`."""
    if not text or "\0" in text:
        raise InvalidInput("the source or the target is empty")
    match = _SCHEME.fullmatch(text)
    if match is None:
        return LocalPlace(text)
    read = _SCHEMES.get(match[1].lower())
    if read is None:
        raise InvalidInput(f"{_shown(text)} is neither s3://bucket/key nor a path nor file:///path")
    return read(text, match[2])


def checked_key(key: str) -> str:
    """Return *key* if an object can have it; raise `InvalidInput` otherwise."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{on_one_line(key)}: a name that is not UTF-8 cannot be a key") from error
    if size > MAX_KEY_BYTES:
        raise InvalidInput(f"{_shown(key)}: longer than the {MAX_KEY_BYTES} bytes that a key may have")
    return key


def local_name(key: str) -> str:
    """Return the file name for a single object. Raises `RecordRejected` if the key leads elsewhere."""
    return str(_relative(key, key.rpartition("/")[2]))


def local_names(keys: Iterable[str], prefix: str) -> dict[str, str]:
    """Return the path of each key below a directory; keys that stand for directories are left out.

    Raises one `RecordRejected` for all keys if any of them leads out of the directory, or if no directory
    could hold them all.
    """
    names: dict[str, str] = {}
    problems: list[str] = []
    for key in keys:
        if key.endswith("/") or key == prefix:
            continue
        try:
            names[key] = str(_relative(key, key[len(prefix) :]))
        except RecordRejected as problem:
            problems.append(str(problem))
    problems += [f"{on_one_line(name)!r} is a file and a directory" for name in _both(names.values())]
    if problems:
        more = len(problems) - MAX_PROBLEMS_SHOWN
        shown = [*problems[:MAX_PROBLEMS_SHOWN], f"and {more} more"] if more > 0 else problems
        raise RecordRejected("\n".join([*shown, "nothing was copied"]))
    return names


def _both(names: Iterable[str]) -> list[str]:
    """Return the names that are also directories of other names."""
    files = set(names)
    parents = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    return sorted(files & parents)


def _relative(key: str, tail: str) -> PurePosixPath:
    problem = next(filter(None, map(_problem_of_part, tail.split("/"))), "")
    if problem:
        raise RecordRejected(f"the key {_shown(key)} cannot become a file: {problem}")
    return PurePosixPath(tail)


def _problem_of_part(part: str) -> str:
    if part in {"", ".", ".."}:
        return f"{part!r} is not a file name"
    if any(char < " " or char == "\x7f" for char in part):
        return "it has control characters"
    if len(part.encode(errors="surrogatepass")) > MAX_NAME_BYTES:
        return f"a name in it is longer than {MAX_NAME_BYTES} bytes"
    return ""


def _object_place(text: str, address: str) -> ObjectPlace:
    bucket, _, key = address.partition("/")
    if _BUCKET.fullmatch(bucket) is None:
        raise InvalidInput(f"{_shown(text)}: {_shown(bucket)} is not the name of a bucket")
    return ObjectPlace(bucket, checked_key(key))


def _file_place(text: str, address: str) -> LocalPlace:
    path = unquote(address.removeprefix("localhost"), errors="surrogateescape")
    if not path.startswith("/") or "\0" in path:
        raise InvalidInput(f"{_shown(text)}: write file:///path with an absolute path")
    return LocalPlace(path)


_SCHEMES: Mapping[str, Callable[[str, str], Place]] = {"s3": _object_place, "file": _file_place}


def _shown(text: str) -> str:
    return repr(text if len(text) <= 200 else f"{text[:200]}…")
