"""Simulate systems, the machines of their agents, and the agents themselves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field

from cloudq.adapters.systems import load_profile
from cloudq.adapters.workspace import DirectoryLeaseMemory, DirectoryWorkspace
from cloudq.adapters.workspace.home_place import forget_place
from cloudq.application.agent.agent_settings import AgentSettings
from cloudq.application.agent.local_scripts import LocalScripts
from cloudq.bootstrap.agent import AgentParts, AgentWorld, wire_agent
from cloudq.domain.errors import CloudqError
from cloudq.domain.jobs.eligibility import offer_of
from tests.builders import a_process
from tests.parts.scripted_scheduler import ScriptedScheduler
from tests.parts.trap import Killed
from tests.simulation.gate import Gated, GatedWorkspace, Process
from tests.simulation.machines import Host, HostClock
from tests.simulation.slow_workers import SlowWorkers

if TYPE_CHECKING:
    from tests.simulation.life import Life

PROFILE = load_profile("local", Path("nowhere"))
"""The profile by which every simulated system converts meta jobscripts."""


@define
class Place:
    """One system: a scheduler, and the homes of its agents."""

    name: str
    scheduler: ScriptedScheduler
    homes: list[Path]


@define(eq=False)
class Slot:
    """A place where an agent of a system may run, one at a time."""

    life: Life = field(repr=False)
    place: Place
    home: Path
    host: Host
    is_one_shot: bool
    settings: AgentSettings
    process: Process | None = None
    parts: AgentParts | None = None
    pid: int = 0
    last_wait: Any = None

    @property
    def is_free(self) -> bool:
        """Return whether it is not in the middle of a step."""
        return self.process is None or not self.process.is_busy

    def may_write(self) -> bool:
        alive = self.process is not None and not self.process.is_dead
        return alive and self.parts is not None and self.parts.lease.may_write()

    def acts(self) -> bool:
        """Return whether it may write, and has had an answer from the store since it was stopped."""
        process = self.process
        return self.may_write() and process is not None and not (process.is_unaware or process.is_copied)

    def seems_gone_on(self, other: Slot) -> bool:
        """Return whether *other* is on a copy of this host (same name and home) where this process ended."""
        if self.host is other.host or self.home != other.home or self.parts is None or other.parts is None:
            return False
        mine, theirs = (each.parts.lease.identity.process for each in (self, other) if each.parts)
        return theirs.shares_process_table_with(mine) and mine.pid in other.host.gone

    def step(self) -> None:
        """Run one poll of a daemon, or a whole run of an agent that does one cycle."""
        if self.process is None or self.process.is_dead or self.parts is None:
            self._start()
        process, parts = self.process, self.parts
        assert process is not None
        assert parts is not None
        process.is_busy = True
        try:
            process.do_background_work()
            self._run(parts)
        except Killed:
            self.gone()
        except CloudqError as error:
            self.life.story.tell(process.name, "ends a run with", repr(error))
        except Exception as error:
            self.life.story.break_(f"{process.name} let out {error!r}")
            if self.life.raises:
                raise
        finally:
            process.is_busy = False
            process.act_on_what_was_heard()
            if self.is_one_shot:
                self.gone()

    def stop(self) -> None:
        """Ask the agent to end: it gives its lease back."""
        if self.process is None or self.process.is_dead or self.parts is None or not self.is_free:
            return
        self.life.story.tell(self.process.name, "is stopped")
        self.process.is_busy = True
        try:
            self.parts.run.stop()
            self.parts.run._give_back()
            self._close()
        except Killed:
            pass
        finally:
            self.gone()

    def gone(self) -> None:
        """End the process, visibly for others of the machine."""
        if self.process is not None:
            self.process.die()
            self.host.gone.add(self.pid)
        if self.process is None or not self.process.is_busy:
            self.process = self.parts = None

    def ask_a_person(self) -> bool:
        """Let a person settle a doubt of the home, if there is one; return whether there was.

        A copy gets another id; other homes are confirmed.
        """
        memory = DirectoryLeaseMemory(self.home, self.place.name)
        if not self.home.is_dir() or not memory.doubt():
            return False
        if self._is_one_of_several():
            self.life.misfortunes.note_removal(self.home)
            (self.home / "home").unlink(missing_ok=True)
            for name in ("cache", "lease"):
                shutil.rmtree(self.home / name, ignore_errors=True)
        memory.confirm(self.life.store.lease_of(self.place.name))
        forget_place(self.home)
        self.life.misfortunes.confirmed_at[self.home] = self.life.clock.seconds
        self.life.story.tell("person", "confirms the home", self.place.name, self.home.name)
        return True

    def _is_one_of_several(self) -> bool:
        """Return whether the home is a copy of another with its id: one of them keeps it and the jobs."""
        others = [home for home in self.place.homes if home != self.home]
        has_twin = id_of(self.home) in map(id_of, others)
        return has_twin and self.home in self.life.misfortunes.copies

    def _close(self) -> None:
        """Finish the background work, before which a process does not end."""
        if self.process is not None and not self.process.is_dead:
            self.process.do_background_work(all_of_it=True)

    def _run(self, parts: AgentParts) -> None:
        if self.is_one_shot:
            try:
                parts.run.one_cycle()
            finally:
                self._close()
            return
        if not parts.lease._lock.locked():
            self._send_heartbeat(parts)
        self.last_wait = parts.run._once(self.last_wait)

    def _send_heartbeat(self, parts: AgentParts) -> None:
        """Send a heartbeat when it is due; now and then, hold the process up before it gets the answer."""
        process, life = self.process, self.life
        held = parts.lease._held
        is_due = held is not None and held.heartbeat_is_due(parts.lease.clock.elapsed())
        if process is None or not is_due or not self._has_a_waiter() or not life.dice.happens(0.3):
            parts.lease.send_heartbeat_if_due()
            return
        looks = life.dice.one_of([5, 8, 8])
        process.weak_spot, process.waits_beside = "put_if_match", lambda: life.wait_beside(self, looks)
        parts.lease.send_heartbeat_if_due()
        if not process.weak_spot:  # its next step takes long, too
            life.wait_beside(self, 3)
        process.weak_spot, process.waits_beside = "", None

    def _has_a_waiter(self) -> bool:
        """Return whether another agent could take the lease in the meantime, in a life with pauses."""
        others = [slot for slot in self.life.slots if slot.place is self.place and slot is not self]
        return self.life.rates.pause > 0 and any(each.is_free and not each.is_one_shot for each in others)

    def _start(self) -> None:
        life, host = self.life, self.host
        self.pid = life.next_pid()
        name = f"{self.place.name}/{self.home.name}/{host.name}#{self.pid}"
        process = Process(name, life, home=self.home, host=self.host)
        clock = HostClock(life.clock, host, host.boot, self.is_one_shot, process.sleeps)
        workspace = DirectoryWorkspace(self.home, clock, life.ids)  # type: ignore[arg-type]
        identity = a_process(pid=self.pid, host=host.name, boot_id=clock.boot_id())
        outside = AgentWorld(
            store=Gated(life.store, process, "store"),  # type: ignore[arg-type]
            scheduler=Gated(self.place.scheduler, process, "scheduler"),  # type: ignore[arg-type]
            workspace=GatedWorkspace(workspace, process, "workspace"),  # type: ignore[arg-type]
            clock=clock,
            ids=life.ids,
            workers=SlowWorkers(life, process),
            process=identity,
            lease_memory=DirectoryLeaseMemory(self.home, self.place.name),
            is_process_gone=lambda other: other.pid in host.gone,
            log=life.log,
            local_scripts=LocalScripts(self.place.name, PROFILE),
        )
        offer = offer_of(PROFILE, unpinned=True, handicap_s=self.settings.handicap_s)
        parts = wire_agent(outside, self.settings, offer, PROFILE.name, one_shot=self.is_one_shot)
        process.send_heartbeat = lambda: _send_heartbeat(parts)
        self.process, self.parts, self.last_wait = process, parts, None
        life.story.tell(name, "is started", "for one cycle" if self.is_one_shot else "")


def _send_heartbeat(parts: AgentParts) -> None:
    """Run the heartbeat's thread, which would wait for its turn, and which tries again after an error."""
    if parts.lease._lock.locked():
        return
    try:
        parts.lease.send_heartbeat_if_due()
    except CloudqError:
        return


def id_of(home: Path) -> str:
    """Return the id that the agents of *home* use; empty before there was one."""
    path = home / "home"
    return path.read_text().strip() if path.is_file() else ""
