"""The files of one claim: the work directory and, beside it, the control directory."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import evolve, field, frozen

from cloudq.adapters.archive_checks import ArchiveLimits, check_room
from cloudq.adapters.codec import MAX_MANIFEST_BYTES, decode_job, encode_job
from cloudq.adapters.filesystem import (
    as_workspace_problem,
    create_file,
    is_full,
    link_file,
    make_private_dir,
    opened_foreign,
    read_fields,
    read_record,
    remove_tree,
    replace_file,
    sync_dir,
    touch_tree,
    write_fields,
)
from cloudq.adapters.job_shell import for_attempt, render_job_shell
from cloudq.adapters.job_tools import install_job_tools
from cloudq.adapters.process import format_identity, noted_identity, own_identity, parse_identity
from cloudq.adapters.workspace.lost_space import is_own_directory, note_lost, read_lost
from cloudq.adapters.workspace.pack import pack_changed, read_baseline, take_baseline
from cloudq.adapters.workspace.records import BLOCKED_LOCK, read_holder, read_task_records
from cloudq.adapters.workspace.unpack import extract_archive
from cloudq.domain.errors import (
    InvalidInput,
    RecordRejected,
    WorkDirGone,
    WorkDirOccupied,
    WorkspaceFull,
    WorkspaceProblem,
)
from cloudq.domain.jobs.contents import Contents
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_shell import BLOCKED, JobShellPlan, ShellDialect, record_name
from cloudq.domain.names import ClaimTag, checked_file_name
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.ports.batch_scheduler import AttemptFiles
from cloudq.ports.clock import Clock
from cloudq.ports.workspace import (
    Attempt,
    FirstMiss,
    LostFiles,
    PackedOutput,
    PutArchive,
    SpaceOwner,
    TaskRecords,
    go_on,
)

CONTROL = ".cloudq"
MAKING = ".making."
_UNNAMED = "work_dir.new"
"""The name of a work directory until it gets its final name."""
_EXECUTABLE = 0o700
_MAX_BASELINE_BYTES = 256 << 20
_LOG_PIECE_BYTES = 1 << 20
_MAX_OPTIONS_BYTES = 4 << 20
_INTENT = re.compile(r"intent\.([1-9][0-9]{0,5})")
_JOB_SHELL_FILES = ("lock", "start", "exit")
_STREAMS = frozenset({"stdout", "stderr"})


@frozen
class DirectoryClaimSpace:
    """The `ClaimSpace` below the directory *cache*.

    A `Making` is the same, with its work directory inside the control directory: one rename publishes it.
    """

    cache: Path
    tag: ClaimTag
    clock: Clock = field(repr=False)
    limits: ArchiveLimits = field(factory=ArchiveLimits)
    work_dir: Path = field(kw_only=True, repr=False, eq=False)
    control_dir: Path = field(kw_only=True, repr=False, eq=False)

    @work_dir.default
    def _work_dir(self) -> Path:
        return self.cache / (self.tag.job_id if self.tag.n == 1 else str(self.tag))

    @control_dir.default
    def _control_dir(self) -> Path:
        return self._published

    @property
    def _published(self) -> Path:
        return self.cache / CONTROL / str(self.tag)

    @property
    def tools_dir(self) -> Path:
        return self.control_dir / "tools"

    @property
    def job_shell(self) -> Path:
        return self.control_dir / "job_shell.sh"

    @property
    def archive(self) -> Path:
        return self.control_dir / "archive.zip"

    # Owner ------------------------------------------------------------------------------------

    def owner(self) -> SpaceOwner | None:
        path = self.control_dir / "owner.json"
        if not os.path.lexists(path):
            return None
        try:
            record = json.loads(read_record(path) or b"")
            return SpaceOwner(str(record["system"]), ClaimTag.parse(str(record["tag"])), str(record["nonce"]))
        except (ValueError, TypeError, KeyError, RecursionError, InvalidInput) as error:
            raise WorkspaceProblem(f"{path} does not name the owner of {self.work_dir}") from error

    def create(self, owner: SpaceOwner) -> None:
        if owner.tag != self.tag:
            raise WorkspaceProblem(f"{self.work_dir} is not for claim {owner.tag}")
        with as_workspace_problem(f"make {self.work_dir}"):
            for directory in (self.cache, self.cache / CONTROL, self.control_dir):
                make_private_dir(directory)
            create_file(self.control_dir / "owner.json", _owner_text(owner))
            if (current := self.owner()) != owner:
                raise WorkspaceProblem(f"{self.control_dir} belongs to another claim: {current}")
            if not self._has_work_dir():
                self._make_work_dir()
            elif not self._owns_work_dir():
                raise WorkDirOccupied(f"{self.work_dir} exists and was not made for claim {self.tag}")

    def _has_work_dir(self) -> bool:
        """Return whether anything is in the place of the work directory."""
        return os.path.lexists(self.work_dir)

    def _is_work_dir_gone(self) -> bool:
        """Return whether the work directory is absent while the control directory beside it is in sight."""
        try:
            self.work_dir.lstat()
        except FileNotFoundError:
            return (self.control_dir / "owner.json").is_file()
        return False

    def _owns_work_dir(self) -> bool:
        """Return whether the work directory is the one that this space made, not a replacement."""
        info = self.work_dir.lstat()
        noted = read_fields(self.control_dir / "work_dir") or {}
        return stat.S_ISDIR(info.st_mode) and noted.get("inode") == str(info.st_ino)

    def _make_work_dir(self) -> None:
        # The inode is noted before the directory gets its name: if this is interrupted, the note
        # distinguishes our directory from another one. A rename replaces no file, no link and no
        # directory with content.
        unnamed = self.control_dir / _UNNAMED
        make_private_dir(unnamed)
        note = write_fields({"inode": unnamed.stat().st_ino})
        replace_file(self.control_dir / "work_dir", note)
        if unnamed != self.work_dir:
            unnamed.rename(self.work_dir)
            sync_dir(self.cache)

    # Making and publishing --------------------------------------------------------------------

    def making(self, name: str) -> DirectoryClaimSpace:
        directory = self.cache / CONTROL / f"{MAKING}{self.tag}.{name}"
        return evolve(self, work_dir=directory / _UNNAMED, control_dir=directory)

    def is_prepared(self) -> bool:
        # The baseline is noted last, also by agents that made the files in place. A site's purge may
        # remove any of the files later.
        work_dir = self.work_dir if self._has_work_dir() else self.control_dir / _UNNAMED
        needed = (self.control_dir / "baseline", self.job_shell, work_dir)
        return all(os.path.lexists(path) for path in needed)

    def publish(self) -> None:
        # rename(2) replaces no directory except an empty one, on network file systems too, and a claim's
        # directory is never empty: it is made with the owner's record inside. A network file system may
        # return an error for a rename that it carried out: the inode that is found there decides.
        with as_workspace_problem(f"access {self.control_dir}"):
            mine = self.control_dir.stat().st_ino
        try:
            self.control_dir.rename(self._published)
        except OSError as error:
            if is_full(error):
                raise WorkspaceFull(f"cannot publish {self._published}: {error.strerror}") from error
            if not _is_inode(self._published, mine):
                raise WorkspaceProblem(
                    f"another agent created {self._published}, or it cannot be created: "
                    f"{error.strerror or error}"
                ) from error
        with as_workspace_problem(f"make {self._published}"):
            sync_dir(self._published.parent)

    def discard(self) -> None:
        with as_workspace_problem(f"remove {self.control_dir}"):
            remove_tree(self.control_dir)

    # Files of the hand-over -------------------------------------------------------------------

    def install_script(self, name: str, body: bytes) -> Path:
        path = self.work_dir / checked_file_name(name)
        with as_workspace_problem(f"write {path}"):
            replace_file(path, body, _EXECUTABLE)
        return path

    def install_job_shell(self, plan: JobShellPlan, dialect: ShellDialect) -> None:
        text = render_job_shell(plan, dialect)
        with as_workspace_problem(f"write {self.job_shell}"):
            replace_file(self.job_shell, os.fsencode(text), _EXECUTABLE)

    def read_job_shell(self) -> Jobscript | None:
        with as_workspace_problem(f"read {self.job_shell}"):
            try:
                return Jobscript(self.job_shell.name, self._own_shell())
            except FileNotFoundError:
                return None

    def job_shell_for(self, attempt: int) -> Path:
        if attempt == 1:
            return self.job_shell
        path = self.control_dir / f"job_shell.{attempt}.sh"
        with as_workspace_problem(f"write {path}"):
            text = os.fsdecode(self._own_shell())
            replace_file(path, os.fsencode(for_attempt(text, attempt)), _EXECUTABLE)
        return path

    def _own_shell(self) -> bytes:
        with opened_foreign(self.job_shell) as handle, os.fdopen(os.dup(handle), "rb") as file:
            return file.read()

    def install_tools(self) -> Path:
        install_job_tools(self.tools_dir)
        return self.tools_dir

    def keep_options(self, options: Sequence[str]) -> None:
        path = self.control_dir / "options"
        with as_workspace_problem(f"write {path}"):
            replace_file(path, json.dumps(list(options)).encode())

    def kept_options(self) -> tuple[str, ...]:
        path = self.control_dir / "options"
        try:
            return tuple(str(word) for word in json.loads(read_record(path, _MAX_OPTIONS_BYTES) or b""))
        except (ValueError, TypeError, RecursionError) as error:
            raise WorkspaceProblem(f"{path} does not hold the submit options of {self.tag}") from error

    def require_room(self, needed: int) -> None:
        with as_workspace_problem(f"check the free space in {self.cache}"):
            check_room(needed, self.cache)

    def extract_input(self, promised: Contents | None, check: Callable[[], object] = go_on) -> None:
        with as_workspace_problem(f"extract the input into {self.work_dir}"):
            extract_archive(self.archive, self.work_dir, self.limits, promised, check)
            self.archive.unlink()

    def note_baseline(self) -> None:
        path = self.control_dir / "baseline"
        if not os.path.lexists(path):
            with as_workspace_problem(f"list {self.work_dir}"):
                create_file(path, take_baseline(self.work_dir))

    # Attempts to submit -----------------------------------------------------------------------

    def attempts(self) -> tuple[Attempt, ...]:
        matches = (_INTENT.fullmatch(name) for name in self._names())
        return tuple(self._read_attempt(n) for n in sorted(int(match[1]) for match in matches if match))

    def begin_attempt(self, number: int, command: str, time_limit_s: float) -> AttemptFiles:
        intent = {
            "command": command,
            "time_limit_s": time_limit_s,
            "begun_at": self.clock.elapsed(),
            "boot_id": self.clock.boot_id(),
            "process": format_identity(own_identity()),
        }
        path = self.control_dir / f"intent.{number}"
        with as_workspace_problem(f"write {path}"):
            if not create_file(path, write_fields(intent)):
                raise WorkspaceProblem(f"attempt {number} of claim {self.tag} has already begun")
        return self.attempt_files(number)

    def attempt_files(self, number: int) -> AttemptFiles:
        kinds = ("stdout", "stderr", "status", "process")
        return AttemptFiles(*(self.control_dir / f"intent.{number}.{kind}" for kind in kinds))

    def _read_attempt(self, number: int) -> Attempt:
        # An intent that can no longer be read still counts: its attempt is over, and the scheduler must
        # be asked before another one.
        fields = read_fields(self.control_dir / f"intent.{number}") or {}
        return Attempt(
            number,
            fields.get("command", ""),
            _seconds(fields.get("time_limit_s", "")),
            _seconds(fields.get("begun_at", "")),
            fields.get("boot_id", ""),
            self._submitter(number, fields.get("process", "")),
        )

    def _submitter(self, number: int, starter: str) -> str:
        """Return the process of the submit command as it noted itself, else the process that started it."""
        note = (read_record(self.attempt_files(number).process) or b"").decode(errors="replace")
        begun_by = parse_identity(starter)
        noted = noted_identity(note, begun_by) if begun_by else None
        return format_identity(noted) if noted else starter

    # Records of the job shells ----------------------------------------------------------------

    def fingerprint(self) -> Hashable:
        # A record that replaces another one has another inode, which a listing shows without a query for
        # each file; times would miss two changes within one tick of the file system's clock.
        with as_workspace_problem(f"list {self.control_dir}"):
            try:
                with os.scandir(self.control_dir) as entries:
                    seen = {
                        (entry.name, entry.inode())
                        for entry in entries
                        if entry.name.startswith(_JOB_SHELL_FILES)
                    }
            except FileNotFoundError:
                return None
        return (len(seen), hash(frozenset(seen)))

    def records(self, tasks: Sequence[int | None]) -> Mapping[int | None, TaskRecords]:
        present = frozenset(self._names())
        return {task: read_task_records(self.control_dir, task, present) for task in tasks}

    def block(self, task: int | None) -> str:
        lock = self.control_dir / record_name("lock", task)
        with as_workspace_problem(f"block {lock}"):
            self._link_blocked(lock)
        # A lock that cannot be read also keeps every job shell from starting the script.
        return read_holder(lock) or BLOCKED

    def _link_blocked(self, lock: Path) -> None:
        blocked = self.control_dir / BLOCKED
        if not blocked.exists():
            create_file(blocked, BLOCKED_LOCK)
        try:
            link_file(blocked, lock)
        except OSError as error:
            if error.errno != errno.EMLINK:  # file systems limit the number of links to one file
                raise
            create_file(lock, BLOCKED_LOCK)

    def first_miss(self) -> FirstMiss | None:
        fields = read_fields(self.control_dir / "first_miss") or {}
        if not fields.get("boot_id") or not fields.get("at"):
            return None
        return FirstMiss(fields["boot_id"], _seconds(fields["at"]))

    def note_miss(self, miss: FirstMiss | None) -> None:
        path = self.control_dir / "first_miss"
        with as_workspace_problem(f"write {path}"):
            if miss is not None:
                replace_file(path, write_fields({"boot_id": miss.boot_id, "at": miss.at}))
            elif path.exists():
                path.unlink(missing_ok=True)
                sync_dir(self.control_dir)

    # Logs, output, copies and removal ---------------------------------------------------------

    def log_path(self, stream: str, task: int | None) -> Path:
        if stream not in _STREAMS:
            raise InvalidInput(f"{stream!r} is not a job's stdout or stderr")
        return self.control_dir / record_name(stream, task)

    def log_size(self, stream: str, task: int | None) -> int:
        with suppress(OSError), opened_foreign(self.log_path(stream, task)) as handle:
            return os.fstat(handle).st_size
        return 0

    def log_pieces(self, stream: str, task: int | None) -> Iterator[bytes]:
        path = self.log_path(stream, task)
        if not self.log_size(stream, task):
            return
        with as_workspace_problem(f"read {path}"), opened_foreign(path) as handle:
            while piece := os.read(handle, _LOG_PIECE_BYTES):
                yield piece

    def read_log(self, stream: str, task: int | None, offset: int, limit: int) -> bytes:
        try:
            with opened_foreign(self.log_path(stream, task)) as handle:
                return os.pread(handle, limit, offset)
        except OSError:
            return b""

    def pack_output(self, put: PutArchive) -> PackedOutput:
        noted = read_record(self.control_dir / "baseline", _MAX_BASELINE_BYTES) or b""
        with as_workspace_problem(f"pack the output in {self.work_dir}"):
            if self._is_work_dir_gone():
                raise WorkDirGone(f"{self.work_dir} was removed")
            return pack_changed(self.work_dir, read_baseline(noted), put)

    def rebuild(self, owner: SpaceOwner) -> None:
        home = self.cache.parent / "home"
        if not home.is_file():
            raise WorkspaceProblem(f"{home} is not visible: the files of {self.tag} may still exist")
        has_work_dir = is_own_directory(self.work_dir)
        with as_workspace_problem(f"make {self.control_dir}"):
            for directory in (self.cache, self.cache / CONTROL, self.control_dir):
                make_private_dir(directory)
            note_lost(self.control_dir, self.clock.now(), has_work_dir=has_work_dir)
            if has_work_dir:
                note = write_fields({"inode": self.work_dir.stat().st_ino})
                replace_file(self.control_dir / "work_dir", note)
        self.create(owner)

    def lost(self) -> LostFiles | None:
        return read_lost(self.control_dir)

    def take_lock(self, task: int | None, scheduler_job_id: str) -> str:
        lock = self.control_dir / record_name("lock", task)
        with as_workspace_problem(f"take {lock}"):
            create_file(lock, write_fields({"local_id": scheduler_job_id}))
        return read_holder(lock) or BLOCKED

    def touch(self) -> None:
        touch_tree(self.control_dir)
        touch_tree(self.work_dir)

    def keep_job(self, job: Job) -> None:
        path = self.control_dir / "record.json"
        with as_workspace_problem(f"write {path}"):
            replace_file(path, encode_job(job))

    def kept_job(self) -> Job | None:
        path = self.control_dir / "record.json"
        body = read_record(path, MAX_MANIFEST_BYTES)
        try:
            return None if body is None else decode_job(body, str(path), self.tag.job_id)
        except RecordRejected:
            return None

    def is_staged_out(self) -> bool:
        return os.path.lexists(self.control_dir / "staged_out")

    def note_staged_out(self) -> None:
        path = self.control_dir / "staged_out"
        with as_workspace_problem(f"write {path}"):
            create_file(path, write_fields({"time": self.clock.now().isoformat()}))

    def remove(self) -> None:
        with as_workspace_problem(f"remove {self.work_dir}"):
            if not self.control_dir.is_dir():
                return
            if self._has_work_dir() and self._owns_work_dir():
                remove_tree(self.work_dir)
            # Renamed first, so that an interrupted removal leaves no part of a claim's records.
            doomed = self.control_dir.with_name(f".gone.{self.tag}")
            remove_tree(doomed)
            self.control_dir.rename(doomed)
            remove_tree(doomed)

    def _names(self) -> list[str]:
        with as_workspace_problem(f"list {self.control_dir}"):
            try:
                return os.listdir(self.control_dir)  # noqa: PTH208 (only names are needed)
            except FileNotFoundError:
                return []


def _owner_text(owner: SpaceOwner) -> bytes:
    record = {"format": "1.0", "system": owner.system, "tag": str(owner.tag), "nonce": owner.nonce}
    return json.dumps(record).encode()


def _is_inode(path: Path, inode: int) -> bool:
    try:
        return path.lstat().st_ino == inode
    except OSError:
        return False


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
