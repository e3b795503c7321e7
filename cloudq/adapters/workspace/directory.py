"""The home of an agent, ``~/.cloudq`` unless the user moved it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from attrs import field, frozen

from cloudq.adapters.archive_checks import ArchiveLimits
from cloudq.adapters.filesystem import (
    as_workspace_problem,
    create_file,
    make_private_dir,
    read_fields,
    read_record,
    remove_tree,
)
from cloudq.adapters.process import is_gone, parse_identity
from cloudq.adapters.workspace.claim_space import CONTROL, MAKING, DirectoryClaimSpace
from cloudq.adapters.workspace.ledger import Ledger
from cloudq.domain.errors import InvalidInput, WorkspaceProblem
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock, IdSource

_HOME = re.compile(rb"[0-9a-zA-Z-]{4,64}")
_MAKING = re.compile(
    re.escape(MAKING) + r"(?P<tag>[0-9a-f]{8}\.[0-9]{1,9})\.(?P<name>(?P<epoch>[0-9]{1,18})\..+)"
)


@frozen
class DirectoryWorkspace:
    """The `Workspace` in the directory *root*, which may be reached through links."""

    root: Path
    clock: Clock = field(repr=False)
    ids: IdSource = field(repr=False)
    limits: ArchiveLimits = field(factory=ArchiveLimits)
    _real_root: Path = field(init=False, repr=False, eq=False)
    _cache: Path = field(init=False, repr=False, eq=False)

    @_real_root.default
    def _resolved_root(self) -> Path:
        return self.root.resolve()

    @_cache.default
    def _cache_of_root(self) -> Path:
        return self._real_root / "cache"

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self._real_root / "ledger")

    @property
    def home(self) -> str:
        path = self.root / "home"
        with as_workspace_problem(f"make {path}"):
            if not path.exists():
                self.root.mkdir(parents=True, exist_ok=True)
                make_private_dir(self._cache)
                self._real_root.chmod(0o700)
                create_file(path, self.ids.nonce().encode())
        content = read_record(path)
        if content is None or _HOME.fullmatch(content.strip()) is None:
            raise WorkspaceProblem(f"{path} does not hold the id of this directory")
        return content.strip().decode()

    def space(self, tag: ClaimTag) -> DirectoryClaimSpace:
        return DirectoryClaimSpace(self._cache, tag, self.clock, self.limits)

    def note_start(self, tag: ClaimTag, submission: str) -> None:
        self._ledger.note(tag, submission, self.clock.now())

    def started_at(self, tag: ClaimTag, submission: str) -> datetime | None:
        return self._ledger.find(tag, submission)

    def is_process_gone(self, process: str) -> bool:
        identity = parse_identity(process)
        return identity is None or is_gone(identity)

    def unfinished(self) -> tuple[ClaimTag, ...]:
        return tuple(tag for tag in sorted(self._tags()) if not self.space(tag).is_staged_out())

    def remove_expired(
        self, keep_s: float, in_use: Callable[[], Collection[str]] = tuple
    ) -> tuple[ClaimTag, ...]:
        self._finish_removals()
        now = self.clock.now()
        removed = []
        expired = [tag for tag in sorted(self._tags()) if _is_expired(self.space(tag), now, keep_s)]
        used = [Path(path) for path in in_use()] if expired else []
        for tag in expired:
            space = self.space(tag)
            if any(path.is_relative_to(space.work_dir) for path in used):
                continue
            with suppress(WorkspaceProblem):  # tried again in the next round
                space.remove()
                removed.append(tag)
        return tuple(removed)

    def remove_unpublished(self, system: str, epoch: int) -> None:
        for name in self._names():
            making = _MAKING.fullmatch(name)
            if making is None or int(making["epoch"]) == epoch:
                continue
            with suppress(WorkspaceProblem, InvalidInput):  # not ours, or tried again in the next round
                space = self.space(ClaimTag.parse(making["tag"])).making(making["name"])
                owner = space.owner()
                if owner is None or owner.system == system:
                    space.discard()

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._cache / CONTROL)  # noqa: PTH208 (only names are needed)
        except OSError:
            return []

    def _tags(self) -> Iterator[ClaimTag]:
        for name in self._names():
            with suppress(InvalidInput):
                yield ClaimTag.parse(name)

    def _finish_removals(self) -> None:
        for name in self._names():
            if name.startswith(".gone."):
                with suppress(OSError):
                    remove_tree(self._cache / CONTROL / name)


def _is_expired(space: DirectoryClaimSpace, now: datetime, keep_s: float) -> bool:
    since = _staged_out_at(space)
    return since is not None and (now - since).total_seconds() >= keep_s


def _staged_out_at(space: DirectoryClaimSpace) -> datetime | None:
    path = space.control_dir / "staged_out"
    if not os.path.lexists(path):
        return None
    try:
        return datetime.fromisoformat((read_fields(path) or {})["time"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
