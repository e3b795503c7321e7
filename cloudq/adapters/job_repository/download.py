"""A directory of downloads that is there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import checked_file_name
from cloudq.ports.object_store import ObjectStore


def download_new_directory(
    store: ObjectStore, wanted: Mapping[str, str], into: Path, nonce: str, finish: Callable[[Path], None]
) -> Sequence[Path]:
    """Download *wanted* (keys by file name) into the new directory *into*; return what was written.

    All goes to a directory beside it first, where *finish* goes on with it: nothing is left of a
    download that failed, so it can simply be done again. Raises `InvalidInput` if *into* exists or
    cannot be made.
    """
    names = [_name_within(into, name) for name in wanted]
    if into.exists() or into.is_symlink():
        raise InvalidInput(f"{into} exists already; nothing was overwritten")
    part = into.with_name(f".{into.name}.{nonce}")
    try:
        part.mkdir(parents=True)
        for name, key in wanted.items():
            store.download(key, part / name)
        finish(part)
        part.rename(into)
    except OSError as error:
        raise InvalidInput(f"cannot write {error.filename or into}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return [into / name for name in names]


def _name_within(into: Path, name: str) -> str:
    """*name*, unless it leads elsewhere on this system (as ``C:x`` does on Windows)."""
    if (into / checked_file_name(name)).parent != into:
        raise InvalidInput(f"{name!r} is not a file name on this system")
    return name
