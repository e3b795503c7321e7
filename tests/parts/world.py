"""Put clients, agents, a store and a scheduler into one process, on one clock that a test moves."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from cloudq.adapters.workspace import DirectoryLeaseMemory, DirectoryWorkspace
from cloudq.application.agent.agent_settings import AgentSettings
from cloudq.application.agent.local_scripts import LocalScripts
from cloudq.bootstrap.agent import AgentParts, AgentWorld, wire_agent
from cloudq.bootstrap.client import ClientParts, wire_client
from cloudq.domain.jobs.dependency import Holds
from cloudq.domain.jobs.eligibility import offer_of
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.lease import Offer, ProcessIdentity
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.directive import is_meta
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.system_mapping import NameTables
from cloudq.domain.scripts.system_profile import SystemProfile
from cloudq.domain.scripts.target import Pinned
from cloudq.ports.object_store import ObjectStore
from cloudq.testing.fake_clock import FakeClock
from cloudq.testing.memory_store import MemoryStore
from tests.builders import a_process
from tests.parts.inline_workers import InlineWorkers
from tests.parts.scripted_scheduler import Behaviour, ScriptedScheduler
from tests.parts.serial_ids import SerialIds
from tests.parts.trap import Trap, Trapped, TrappedWorkspace

POLL_S = 5.0
SCRIPT = Jobscript("run.sh", b"#!/bin/bash\necho hello\n")


@define
class RecordingLog:
    """A log that keeps the messages of an agent."""

    told: list[tuple[str, str, dict[str, object]]] = field(factory=list)

    def info(self, event: str, **about: object) -> None:
        self.told.append(("info", event, about))

    def warning(self, event: str, **about: object) -> None:
        self.told.append(("warning", event, about))

    def error(self, event: str, **about: object) -> None:
        self.told.append(("error", event, about))

    exception = error

    def defects(self) -> list[tuple[str, str, dict[str, object]]]:
        """Return the messages that must never be logged: cloudq's own mistakes."""
        return [told for told in self.told if "defect" in told[1]]


@define
class System:
    """One system: its scheduler, and the home that its agents share."""

    name: str
    home: Path
    scheduler: ScriptedScheduler
    profile: SystemProfile | None = None
    """The profile by which its agents convert meta jobscripts; None: they do not."""


@define
class World:
    """All parts of one simulated world."""

    tmp: Path
    clock: FakeClock = field(factory=FakeClock)
    ids: SerialIds = field(factory=SerialIds)
    log: RecordingLog = field(factory=RecordingLog)
    store: ObjectStore = field(init=False)
    names: NameTables = field(factory=NameTables)
    """The names of projects and resources in the clients' configurations."""
    gone: set[int] = field(factory=set)
    """Processes that have ended, by pid."""
    _next_pid: int = field(default=100, init=False)
    _reader: tuple[ObjectStore, ClientParts] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.store = MemoryStore(self.clock.now)

    def system(
        self,
        name: str = "alpha",
        behaviour: Behaviour | None = None,
        profile: SystemProfile | None = None,
        **options: Any,
    ) -> System:
        home = self.tmp / name
        home.mkdir(parents=True, exist_ok=True)
        return System(name, home, ScriptedScheduler(self.clock, behaviour, **options), profile)

    def agent(
        self,
        system: System,
        trap: Trap | None = None,
        *,
        host: str = "login1",
        store: ObjectStore | None = None,
        one_shot: bool = False,
        **settings: Any,
    ) -> Agent:
        self._next_pid += 1
        process = a_process(pid=self._next_pid, host=host, boot_id=f"boot of {host}")
        return start_agent(self, system, process, trap, store or self.store, one_shot, settings)

    def client(self, store: ObjectStore | None = None) -> ClientParts:
        return wire_client(
            store or self.store, self.clock, self.ids, InlineWorkers(), "tester@laptop", names=self.names
        )

    def submit(
        self,
        *systems: str,
        script: Jobscript = SCRIPT,
        array: str | None = None,
        hold_jid: tuple[str, ...] = (),
        hold_ok_jid: tuple[str, ...] = (),
        input_archive: Path | None = None,
        submit_opt: str = "",
    ) -> str:
        request = JobRequest(
            script=MetaScript.parse(script.name, script.body) if is_meta(script.body) else script,
            target=Pinned(systems or ("alpha",)),
            submit_opt=submit_opt,
            holds=Holds(hold_jid, hold_ok_jid),
            array_tid=ArrayRange.parse(array) if array else None,
            input_archive=input_archive,
            force=True,
        )
        return self.client().submit(request).job.uuid

    def job(self, job_id: str) -> Job:
        if self._reader is None or self._reader[0] is not self.store:
            self._reader = self.store, self.client()
        return self._reader[1].query.job(job_id)

    def stored(self, prefix: str = "") -> list[str]:
        return [listed.key for listed in self.store.list_page(prefix).objects]

    def body(self, key: str) -> bytes:
        return self.store.get(key).body


@define
class Agent:
    """A running agent, one cycle at a time."""

    world: World
    parts: AgentParts
    process: ProcessIdentity

    def cycle(self, *, take_lease: bool = True) -> None:
        """Run one poll, as the daemon does: take the lease if needed, send a heartbeat, run a cycle."""
        lease = self.parts.lease
        if lease.is_lapsed() and take_lease:
            if lease.acquire(self.parts.run.check_store) is not None:
                return
            self.parts.run.cycle.begin_epoch()
        lease.send_heartbeat_if_due()
        self.parts.run._cycle()

    def cycles(self, count: int, every_s: float = POLL_S) -> None:
        for _ in range(count):
            self.cycle()
            self.world.clock.pass_by(every_s)

    def until(self, is_so: Callable[[], bool], longest_s: float = 2000.0) -> None:
        """Run cycles until *is_so* is true; fail if it never is."""
        began = self.world.clock.elapsed()
        while not is_so():
            assert self.world.clock.elapsed() - began < longest_s, self.world.log.told[-10:]
            self.cycle()
            self.world.clock.pass_by(POLL_S)

    def until_final(self, *job_ids: str, longest_s: float = 2000.0) -> None:
        self.until(lambda: all(self.world.job(each).is_final for each in job_ids), longest_s)

    def die(self) -> None:
        """End the process without a message."""
        self.world.gone.add(self.process.pid)


def start_agent(
    world: World,
    system: System,
    process: ProcessIdentity,
    trap: Trap | None,
    store: ObjectStore,
    one_shot: bool,
    settings: dict[str, Any],
) -> Agent:
    """Wire an agent, with all its ports behind *trap* if there is one."""
    workspace: Any = DirectoryWorkspace(system.home, world.clock, world.ids)
    scheduler: Any = system.scheduler
    if trap is not None:
        store = Trapped(store, trap, "store")  # type: ignore[assignment]
        scheduler = Trapped(scheduler, trap, "scheduler")
        workspace = TrappedWorkspace(workspace, trap, "workspace")
    profile = system.profile
    outside = AgentWorld(
        store=store,
        scheduler=scheduler,
        workspace=workspace,
        clock=world.clock,
        ids=world.ids,
        workers=InlineWorkers(),
        process=process,
        lease_memory=DirectoryLeaseMemory(system.home, system.name),
        is_process_gone=lambda other: other.pid in world.gone,
        log=world.log,
        local_scripts=None if profile is None else LocalScripts(system.name, profile),
    )
    chosen = evolve(AgentSettings(system.name, poll_interval_s=POLL_S), **settings)
    offer = Offer("scripted", chosen.unpinned, chosen.handicap_s)
    if profile is not None:
        offer = offer_of(profile, unpinned=chosen.unpinned, handicap_s=chosen.handicap_s)
    return Agent(world, wire_agent(outside, chosen, offer, one_shot=one_shot), process)


def text_of(pieces: Any) -> str:
    """Return a streamed log as text."""
    buffer = io.BytesIO()
    for piece in pieces:
        buffer.write(piece)
    return buffer.getvalue().decode()
