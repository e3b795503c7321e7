"""Copy running hosts: the memory of the agent, with or without its home.

Everything that an agent's wiring reaches is copied as in a memory snapshot, including functions with the
values in their closures. Everything outside the host stays the same: the bucket, the scheduler, time.
"""

from __future__ import annotations

import copy
import os
import shutil
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PosixPath
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from attrs import evolve

from cloudq.adapters.filesystem import read_fields, replace_file, write_fields
from cloudq.adapters.workspace.home_place import forget_place, note_place

if TYPE_CHECKING:
    from tests.simulation.places import Slot

_COPIERS: dict[type, Any] = copy._deepcopy_dispatch  # type: ignore[attr-defined]


def copy_host(slot: Slot, home: Path, *, name: str) -> Slot:
    """Return the same agent on another machine, in the middle of the same work.

    It has the same boot id, process id and start time; *name* is the other machine's. Its *home* is a
    copy, or the same directory if the home is on neither machine.
    """
    host = evolve(slot.host, name=name, gone=set(slot.host.gone))
    copied = evolve(slot, home=home, host=host)
    with _copying_functions(slot.home, home):
        memo: dict[int, Any] = {id(each): each for each in _outside(slot)}
        memo[id(slot.host)] = host
        copied.parts = copy.deepcopy(slot.parts, memo)
        copied.process = copy.deepcopy(slot.process, memo)
        copied.last_wait = copy.deepcopy(slot.last_wait, memo)
    assert copied.process is not None
    copied.process.name = f"{slot.place.name}/{home.name}/{name}#{slot.pid}'"
    return copied


def copy_home(home: Path, target: Path, *, is_image: bool) -> Path:
    """Copy a directory with its content; with *is_image*, as in a copied disk, the inodes count as equal."""
    if home.exists():
        shutil.copytree(home, target, symlinks=True)
    if is_image:
        if target.is_dir():
            forget_place(target)
            note_place(target)
        for note in (target / "cache" / ".cloudq").glob("*/work_dir"):
            _note_inode(note, target / "cache")
    return target


def _note_inode(note: Path, cache: Path) -> None:
    """Change the noted inode to the copy's: on a copied disk, the directory would have the noted number."""
    tag = note.parent.name
    work = cache / (tag.removesuffix(".1") if tag.endswith(".1") else tag)
    if work.is_dir():
        fields = read_fields(note) or {}
        replace_file(note, write_fields({**fields, "inode": work.lstat().st_ino}))


def _outside(slot: Slot) -> Iterator[object]:
    life = slot.life
    yield from (life, life.store, life.clock, life.ids, life.log, life.story, life.checks, life.odds)
    yield from (slot.place, slot.place.scheduler, slot.settings, os.environ)


@contextmanager
def _copying_functions(old_home: Path, new_home: Path) -> Iterator[None]:
    """Make copies deep for the duration of the block: functions, locks, and paths below the home, too."""

    def path(found: PosixPath, _memo: dict[int, Any]) -> Path:
        return new_home / found.relative_to(old_home) if found.is_relative_to(old_home) else found

    copiers: dict[type, Any] = {
        types.FunctionType: _copy_function,
        type(Lock()): lambda _lock, _memo: Lock(),
        Event: _copy_event,
        types.MappingProxyType: lambda frozen, _memo: frozen,
        PosixPath: path,
    }
    before = {kind: _COPIERS.get(kind) for kind in copiers}
    _COPIERS.update(copiers)
    try:
        yield
    finally:
        for kind, copier in before.items():
            _COPIERS.pop(kind) if copier is None else _COPIERS.update({kind: copier})


def _copy_function(function: types.FunctionType, memo: dict[int, Any]) -> types.FunctionType:
    if not function.__closure__:
        return function
    cells = tuple(types.CellType() for _ in function.__closure__)
    copied = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, cells
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    memo[id(function)] = copied
    for cell, old in zip(cells, function.__closure__, strict=True):
        cell.cell_contents = copy.deepcopy(old.cell_contents, memo)
    return copied


def _copy_event(event: Event, _memo: dict[int, Any]) -> Event:
    copied = Event()
    if event.is_set():
        copied.set()
    return copied
