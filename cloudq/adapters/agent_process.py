"""The process of an agent, for commands that start, query or stop it on the same machine.

Each agent notes its process in its home, in one file per system and host, because several login nodes may
share a home. A process is identified by pid, start time and boot, so that no other process is mistaken for
it.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from cloudq.adapters import process
from cloudq.adapters.filesystem import as_workspace_problem, locked, read_record, replace_file
from cloudq.adapters.mounts import LockReach, mount_of
from cloudq.adapters.process import DetachedProcess
from cloudq.domain.errors import AgentRunsAlready, RootRefused, WorkspaceProblem
from cloudq.domain.jobs.lease import ProcessIdentity
from cloudq.ports.clock import Clock

LOOK_EVERY_S = 0.2
_WHERE_PYTHON_LOOKS = ("site-packages", "dist-packages")
_MODULE = "cloudq.entrypoints.cloudqd"
_UNFIT_FOR_NAMES = re.compile(r"[^A-Za-z0-9.-]")


@frozen
class AgentProcess:
    """The process of the agent of *system* in *home*, on this host."""

    home: Path
    system: str
    clock: Clock
    allow_root: bool = False
    accept_weak_store: bool = False

    def note(self) -> None:
        """Note that this process is the agent."""
        path = self._file(process.own_identity().host)
        with as_workspace_problem(f"write {path}"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(path, process.format_identity(process.own_identity()).encode())
            self._trouble.unlink(missing_ok=True)

    def note_trouble(self, words: str) -> None:
        """Note the problem of the agent on this host; an empty text removes the note.

        The heartbeat reports it too, but not while the store refuses heartbeats.
        """
        with as_workspace_problem(f"write {self._trouble}"):
            if words:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(self._trouble, words.encode())
            else:
                self._trouble.unlink(missing_ok=True)

    def noted_trouble(self) -> str:
        """Return the problem that the agent on this host noted last; empty if there is none."""
        return (read_record(self._trouble) or b"").decode(errors="replace")

    def forget(self) -> None:
        """Remove the note that this process is the agent."""
        path = self._file(process.own_identity().host)
        if self._read(path) == process.own_identity():
            path.unlink(missing_ok=True)

    def running(self) -> ProcessIdentity | None:
        """Return the agent's process on this host if it is alive, else None."""
        noted = self._read(self._file(process.own_identity().host))
        return None if noted is None or process.is_gone(noted) else noted

    def elsewhere(self) -> tuple[str, ...]:
        """Return the other hosts on which an agent of this home noted itself and did not remove the note."""
        here = process.own_identity().host
        noted = [self._read(path) for path in sorted(self._folder.glob(f"{self.system}@*"))]
        return tuple(identity.host for identity in noted if identity is not None and identity.host != here)

    def guard(self) -> None:
        """Make this process fit to run jobs of others: refuse to run as root, hide its memory from them.

        Raises `RootRefused` for root, unless the configuration allows it.
        """
        if process.is_root() and not self.allow_root:
            raise RootRefused
        process.hide_own_memory()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Ensure that this is the only agent of this home and system if a weak store is accepted.

        Raises `AgentRunsAlready`, also for an agent on another host if the home is shared.
        """
        if not self.accept_weak_store:
            yield
            return
        self._refuse_locks_of_one_host()
        path = self._folder / f"{self.system}.lock"
        with as_workspace_problem(f"make {self._folder}"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(path) as is_ours:
            if not is_ours:
                raise AgentRunsAlready(
                    f"Another agent of {self.system} runs in this home, maybe on another host: "
                    f"{path} is locked. With [agent] accept_weak_store, only one may run at a time."
                )
            yield

    def _refuse_locks_of_one_host(self) -> None:
        mount = mount_of(self.home)
        if mount is not None and mount.lock_reach is LockReach.THIS_HOST:
            raise WorkspaceProblem(
                f"file locks on {mount.in_words} hold on one host only, so an agent in {self.home} "
                "cannot verify that it is alone, as [agent] accept_weak_store requires. Move CLOUDQ_HOME to "
                "another file system, or use a store that enforces conditional writes."
            )

    def ask_to_end(self, agent: ProcessIdentity) -> bool:
        """Send SIGTERM to exactly this process; return whether it was there to receive it."""
        return process.send_signal(agent, signal.SIGTERM)

    def wait_for_end(self, agent: ProcessIdentity, timeout_s: float) -> bool:
        """Wait until *agent* is gone; return False if it still runs after *timeout_s*."""
        began = self.clock.elapsed()
        while not process.is_gone(agent):
            if self.clock.elapsed() - began >= timeout_s:
                return False
            self.clock.sleep(LOOK_EVERY_S)
        return True

    def start(self, options: Sequence[str], output: Path) -> DetachedProcess:
        """Start the agent with *options* in the background; its output goes to the file *output*."""
        with as_workspace_problem(f"start an agent in {self.home}"):
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            output.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            output.unlink(missing_ok=True)
            command = process.Command(
                argv=(sys.executable, "-P", "-m", _MODULE, *options),
                cwd=self.home,
                env=_inherited(self.home),
                stdout=output,
                stderr=output,
            )
            return process.start_detached(command)

    @property
    def _folder(self) -> Path:
        return self.home / "run"

    @property
    def _trouble(self) -> Path:
        host = _UNFIT_FOR_NAMES.sub("-", process.own_identity().host)
        return self._folder / f"{self.system}.trouble@{host}"

    def _file(self, host: str) -> Path:
        return self._folder / f"{self.system}@{_UNFIT_FOR_NAMES.sub('-', host)}"

    @staticmethod
    def _read(path: Path) -> ProcessIdentity | None:
        content = read_record(path)
        return None if content is None else process.parse_identity(content.decode("ascii", "replace"))


def _inherited(home: Path) -> dict[str, str]:
    """Return this process's environment with absolute paths: the agent has another working directory."""
    given = os.environ.get("PYTHONPATH", "")
    paths = [str(Path(path).absolute()) for path in given.split(os.pathsep) if path]
    root = Path(__file__).absolute().parents[2]
    if root.name not in _WHERE_PYTHON_LOOKS:
        paths.insert(0, str(root))
    return {**os.environ, "CLOUDQ_HOME": str(home), "PYTHONPATH": os.pathsep.join(paths)}
