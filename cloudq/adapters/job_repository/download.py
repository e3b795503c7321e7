"""Downloads into a new directory, which appears complete or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from cloudq.adapters.filesystem import is_full
from cloudq.domain.errors import InvalidInput, ObjectNotFound, StoreRefused
from cloudq.domain.names import checked_file_name
from cloudq.ports.job_repository import Downloaded
from cloudq.ports.object_store import ObjectStore


def download_new_directory(
    store: ObjectStore,
    wanted: Mapping[str, str],
    archives: Mapping[str, str],
    into: Path,
    nonce: str,
    finish: Callable[[Path], None],
) -> Downloaded:
    """Download *wanted* and *archives* (keys by file name) into the new directory *into*.

    The files go to a directory beside it first, where *finish* processes them: a failed download
    leaves nothing behind, so it can be repeated. Archives come last, and one that cannot be
    downloaded does not affect the rest. Raises `InvalidInput` if *into* exists or cannot be made.
    """
    names = {name: _name_within(into, name) for name in (*wanted, *archives)}
    if into.exists() or into.is_symlink():
        raise InvalidInput(f"{into} exists already; nothing was overwritten")
    part = into.with_name(f".{into.name}.{nonce}")
    try:
        part.mkdir(parents=True)
        for name, key in wanted.items():
            store.download(key, part / name)
        problems = tuple(_problems_with(store, archives, part))
        written = [into / name for name in names if (part / name).exists()]
        finish(part)
        part.rename(into)
    except OSError as error:
        raise InvalidInput(f"cannot write {error.filename or into}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Downloaded(written, problems)


def _problems_with(store: ObjectStore, archives: Mapping[str, str], part: Path) -> Iterator[str]:
    """Download those *archives* that can be downloaded; yield the problems with the others."""
    for name, key in archives.items():
        try:
            store.download(key, part / name)
        except ObjectNotFound:
            yield f"{name}: {key} is no longer in the store"
        except StoreRefused as error:
            yield f"{name}: {error}"
        except OSError as error:
            if not is_full(error):
                raise
            yield f"{name}: not enough space for it here; stage out to another place"


def _name_within(into: Path, name: str) -> str:
    """Return *name*. Raises `InvalidInput` if it leads out of *into* (as ``C:x`` does on Windows)."""
    if (into / checked_file_name(name)).parent != into:
        raise InvalidInput(f"{name!r} is not a file name on this system")
    return name
