"""A process that writes to a directory store: ``create ROOT NONCE KEY…`` or ``mark ROOT NAME TIMES``."""

from __future__ import annotations

import sys
from pathlib import Path

from cloudq.adapters.object_stores.directory.store import DirectoryStore
from cloudq.domain.errors import PreconditionFailed


def create(store: DirectoryStore, nonce: str, *keys: str) -> None:
    """Try to create each key; print the keys that this process created."""
    for key in keys:
        try:
            store.put_if_absent(key, nonce.encode())
        except PreconditionFailed:
            continue
        print(key)  # noqa: T201


def mark(store: DirectoryStore, name: str, times: str) -> None:
    """Add this process's mark to an object, *times* times."""
    for number in range(int(times)):
        while True:
            found = store.get("marks")
            try:
                store.put_if_match("marks", found.body + f" {name}{number}".encode(), found.etag)
            except PreconditionFailed:
                continue
            break


if __name__ == "__main__":
    {"create": create, "mark": mark}[sys.argv[1]](DirectoryStore(Path(sys.argv[2])), *sys.argv[3:])
