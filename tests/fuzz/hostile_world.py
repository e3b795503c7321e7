"""Provide a world whose bucket an attacker can write to, on a disk where no other file may change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field

from cloudq.client import Client
from cloudq.domain.errors import CloudqError
from tests.parts.dict_store import DictStore
from tests.parts.world import POLL_S, Agent, System, World

SECRET = b"nothing that cloudq may read, write or move"


@define
class HostileWorld:
    """Agents and clients over a store that accepts any key and any bytes, with sentinel files beside them."""

    tmp: Path
    world: World = field(init=False)
    store: DictStore = field(init=False)
    system: System = field(init=False)
    agent: Agent = field(init=False)
    _before: dict[str, str] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.world = World(self.tmp / "inside")
        self.store = DictStore(self.world.clock.now)
        self.world.store = self.store
        self.system = self.world.system("alpha")
        self.agent = self.world.agent(self.system)
        for name in ("evil", "etc/passwd", "inside/evil", "inside/alpha/evil"):
            path = self.tmp / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(SECRET)
        self._before = self._outside()

    def submit(self, **about: Any) -> str:
        return self.world.submit("alpha", **about)

    def put(self, key: str, body: bytes) -> None:
        """Write directly to the store, and ring the doorbell."""
        self.store.put(key, body)
        self.ring()

    def ring(self) -> None:
        self.store.put("doorbell/alpha", self.world.ids.nonce().encode())

    def client(self) -> Client:
        return Client(self.world.client())

    def cycle(self, count: int = 1) -> None:
        """Run cycles as the daemon does; errors of cloudq in a cycle are suppressed."""
        for _ in range(count):
            with suppress(CloudqError):
                self.agent.cycle()
            self.world.clock.pass_by(POLL_S)

    def until_done(self, *job_ids: str, longest: int = 400) -> None:
        """Run cycles until these jobs, whose records were not attacked, are DONE."""
        for _ in range(longest):
            if all(self.world.job(each).is_final for each in job_ids):
                break
            self.cycle()

        assert [self.world.job(each).state.value for each in job_ids] == ["DONE"] * len(job_ids), (
            self.world.log.told[-20:]
        )

    def check(self) -> None:
        """Check that no defect was logged, no other file changed, and each script ran once per claim."""
        assert self.world.log.defects() == []
        assert self._outside() == self._before
        started = [(start.tag, start.task) for start in self.system.scheduler.starts]
        assert len(set(started)) == len(started)

    def ask(self, into: Path, job_id: str) -> list[str]:
        """Run every query and command of a client on a job; return the messages of the errors."""
        client = self.client()
        questions: tuple[Callable[[], object], ...] = (
            lambda: client.job(job_id),
            lambda: list(client.jobs().jobs),
            lambda: list(client.history()),
            lambda: _drained(client.log(job_id)),
            lambda: client.explain(job_id),
            lambda: sum(len(line.line) for line in client.task_logs(job_id)),
            lambda: _drained(client.output_file(job_id)),
            lambda: client.stage_out(job_id, into),
            lambda: client.cancel(job_id),
            lambda: client.delete(job_id),
        )
        said = []
        for question in questions:
            try:
                question()
            except CloudqError as error:
                said.append(str(error))
        return said

    def _outside(self) -> dict[str, str]:
        """Return the hashes of all files that neither the agent owns nor a client was asked to write."""
        own_names = ("cache", "home", "ledger", "lease", "place")
        ours = (*(self.tmp / "inside/alpha" / name for name in own_names), self.tmp / "into")
        return {
            str(path.relative_to(self.tmp)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in _files(self.tmp)
            if not any(path == own or own in path.parents for own in ours)
        }


def _files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def _drained(pieces: Iterator[bytes]) -> int:
    return sum(map(len, pieces))
