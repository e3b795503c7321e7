"""Examine whether this machine is fit for a client, and for an agent if one is configured here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attrs import frozen

from cloudq.application.doctor.examine import Check
from cloudq.domain.errors import ConfigProblem, SchedulerProblem
from cloudq.domain.finding import Finding, Level
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.system_profile import SystemProfile
from cloudq.ports.batch_scheduler import BatchScheduler
from cloudq.ports.own_machine import OwnMachine

CONFIGURATION, PROFILE, SCHEDULER, DIRECTORIES = "configuration", "profile", "scheduler", "directories"

UNUSED_TAG = ClaimTag("00000000", 999_999)
"""A tag that no job has: a query for it costs the scheduler nothing and changes nothing."""

LITTLE_BYTES, TOO_LITTLE_BYTES = 5 * 2**30, 100 * 2**20
LITTLE_FILES = 1_000


@frozen
class ExamineConfiguration:
    """Report where the configuration was found, and which of its files others can read or change."""

    machine: OwnMachine
    places: str
    """The places that were read, in words."""
    files: tuple[Path, ...]
    """Files that only the user should be able to change."""
    secrets: tuple[Path, ...]
    """Files that only the user should be able to read."""

    def checks(self) -> tuple[Check, ...]:
        """Return the one check."""
        return (Check(CONFIGURATION, self._ask),)

    def _ask(self) -> Iterator[Finding]:
        yield Finding(Level.OK, CONFIGURATION, self.places)
        for path in (*self.files, *self.secrets):
            access = self.machine.access(path)
            if access is None:
                continue
            if access.others_write:
                yield Finding(
                    Level.PROBLEM, CONFIGURATION, f"{path} can be changed by others", f"chmod go-w {path}"
                )
            elif access.others_read and path in self.secrets:
                yield Finding(
                    Level.WARNING, CONFIGURATION, f"{path} can be read by others", f"chmod 600 {path}"
                )


@frozen
class ExamineAgentHere:
    """Examine what an agent on this machine needs."""

    machine: OwnMachine
    system: str
    home: Path
    load_profile: Callable[[], SystemProfile]
    """Raises `ConfigProblem`."""
    commands_of: Callable[[SystemProfile], Sequence[str]]
    scheduler_of: Callable[[SystemProfile], BatchScheduler]

    def checks(self) -> tuple[Check, ...]:
        """Return all checks."""
        return (
            Check(PROFILE, self._profile),
            Check(SCHEDULER, self._scheduler, needs=PROFILE),
            Check(DIRECTORIES, self._directories),
            Check("disk space", self._room),
        )

    def _profile(self) -> Iterator[Finding]:
        try:
            profile = self.load_profile()
        except ConfigProblem as error:
            yield Finding(
                Level.PROBLEM, PROFILE, str(error), "correct [agent] profile, or the profile itself"
            )
            return
        yield Finding(
            Level.OK, PROFILE, f"{self.system} uses profile {profile.name!r}, scheduler {profile.scheduler!r}"
        )

    def _scheduler(self) -> Iterator[Finding]:
        profile = self.load_profile()
        if missing := self.machine.missing(self.commands_of(profile)):
            yield Finding(
                Level.PROBLEM,
                SCHEDULER,
                f"a login shell does not find {', '.join(missing)}",
                "put the scheduler's commands on the PATH of the shell that starts the agent",
            )
            return
        scheduler = self.scheduler_of(profile)
        try:
            flaws = scheduler.unfit_commands()
            if not flaws:
                scheduler.find(UNUSED_TAG)
        except SchedulerProblem as error:
            yield Finding(Level.PROBLEM, SCHEDULER, str(error), "try the command yourself, on this machine")
            return
        for flaw in flaws:
            yield Finding(Level.PROBLEM, SCHEDULER, flaw, "put newer commands first on the agent's PATH")
        if not flaws:
            yield Finding(Level.OK, SCHEDULER, f"{profile.scheduler} answers")

    def _directories(self) -> Iterator[Finding]:
        access = self.machine.access(self.home)
        if reason := self.machine.why_not_writable(self.home):
            yield Finding(
                Level.PROBLEM,
                DIRECTORIES,
                f"{self.home} cannot be written: {reason}",
                "set CLOUDQ_HOME to another directory",
            )
        elif access is not None and access.others_write:
            yield Finding(
                Level.PROBLEM, DIRECTORIES, f"{self.home} can be changed by others", f"chmod 700 {self.home}"
            )
        elif access is not None and access.others_read:
            yield Finding(
                Level.WARNING, DIRECTORIES, f"{self.home} can be read by others", f"chmod 700 {self.home}"
            )
        else:
            yield Finding(Level.OK, DIRECTORIES, f"{self.home} is writable only by you")

    def _room(self) -> Iterator[Finding]:
        room = self.machine.room(self.home)
        free = f"{room.free_bytes / 2**30:.1f} GiB are free below {self.home}"
        few_files = room.free_files is not None and room.free_files < LITTLE_FILES
        if few_files:
            free += f", for {room.free_files} files"
        if room.free_bytes < TOO_LITTLE_BYTES or few_files:
            yield Finding(
                Level.PROBLEM, "disk space", free, "free some space: no job can be prepared without it"
            )
        elif room.free_bytes < LITTLE_BYTES:
            yield Finding(
                Level.WARNING, "disk space", free, "free some space before inputs and outputs need it"
            )
        else:
            yield Finding(Level.OK, "disk space", free)
