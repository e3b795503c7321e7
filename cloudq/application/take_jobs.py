"""Take the jobs a system is invited to (protocol 4.1, 5.4, 7.2 to 7.4)."""

from __future__ import annotations

from enum import Enum

from attrs import define

from cloudq.application.agent_settings import AgentSettings
from cloudq.application.check_dependencies import CheckDependencies
from cloudq.application.end_job import EndJob, load_or_none
from cloudq.application.held_job import HeldJob, Holdings, Invitation
from cloudq.application.hold_lease import HoldLease
from cloudq.application.job_trouble import JobTrouble
from cloudq.application.take_back_job import TakeBackJob
from cloudq.domain.claim import Claim, ClaimKind, may_create_run_claim
from cloudq.domain.errors import SchedulerUnavailable
from cloudq.domain.job import Job, StoredJob
from cloudq.domain.names import ClaimTag
from cloudq.domain.placement import claim_delay, expected_wait
from cloudq.ports.batch_scheduler import BatchScheduler
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.job_repository import ClaimResult, JobRepository
from cloudq.ports.workers import Workers
from cloudq.ports.workspace import Workspace

READ_AGAIN_AFTER_S = 3600.0
"""A record that waits so long may have been ended by somebody who died before the marker went."""
MAX_READ_A_CYCLE = 2000
"""However many markers there are, a cycle comes to its other steps."""


class _Turn(Enum):
    NOW = "now"
    LATER = "later"


@define
class TakeJobs:
    """Claims what may be claimed, adopts what is held already, clears what is over."""

    jobs: JobRepository
    end_job: EndJob
    take_back: TakeBackJob
    dependencies: CheckDependencies
    scheduler: BatchScheduler
    workspace: Workspace
    clock: Clock
    ids: IdSource
    workers: Workers
    lease: HoldLease
    settings: AgentSettings
    holdings: Holdings
    trouble: JobTrouble

    def __call__(self) -> None:
        """Consider every invitation whose time has come."""
        now = self.clock.elapsed()
        due = [each for each in self.holdings.invitations.values() if each.retry_at <= now]
        self.workers.map(self._read, self._to_be_read(due, now))
        due = [each for each in due if each.stored is not None]
        taken = self.workers.map(self._take, self._whose_turn_it_is(due, now))
        for held in taken:
            if held is not None:
                self.holdings.invitations.pop(held.tag, None)
                self.holdings.held[held.tag] = held
                self.trouble.log.info("job taken", job=held.job.uuid, name=held.job.name)

    # Reading ---------------------------------------------------------------------------------

    def _to_be_read(self, due: list[Invitation], now: float) -> list[Invitation]:
        """The oldest of those that are new, were absent at the last listing, or read long ago."""
        listed = [each for each in due if each.is_newly_listed]
        unread = [each for each in listed if each.stored is None or now - each.read_at >= READ_AGAIN_AFTER_S]
        return sorted(unread, key=lambda each: -each.age_s(now))[:MAX_READ_A_CYCLE]

    def _read(self, invitation: Invitation) -> None:
        with self.trouble.of_invitation(invitation):
            invitation.stored = load_or_none(self.jobs, invitation.tag.job_id)
            invitation.is_newly_listed, invitation.read_at = False, self.clock.elapsed()
            if invitation.stored is None:
                self._note_absent(invitation)
            else:
                invitation.absent_listings = 0

    def _note_absent(self, invitation: Invitation) -> None:
        invitation.absent_listings += 1
        if invitation.absent_listings > 1:
            self._clear(invitation)

    def _clear(self, invitation: Invitation) -> None:
        """The marker has nothing more to say: it goes."""
        self.holdings.withdraw.add(invitation.tag)
        self.holdings.invitations.pop(invitation.tag, None)

    # Choosing --------------------------------------------------------------------------------

    def _whose_turn_it_is(self, due: list[Invitation], now: float) -> list[Invitation]:
        room = self.settings.max_held - len(self.holdings.held)
        due, free = self._with_free_slots(due)
        chosen: list[Invitation] = []
        for invitation in sorted(due, key=lambda each: -each.age_s(now)):
            if self._turn(invitation, now, free, room - len(chosen)) is _Turn.NOW:
                chosen.append(invitation)
                if free is not None and not _is_pinned(invitation):
                    free -= 1
        return chosen

    def _turn(self, invitation: Invitation, now: float, free: int | None, room: int) -> _Turn:
        job = _job(invitation)
        if job.is_final or job.claim >= invitation.tag.n or self.dependencies.why_never(job):
            return _Turn.NOW
        invitation.note = self._why_it_waits(invitation, job, now, free, room)
        return _Turn.LATER if invitation.note else _Turn.NOW

    def _why_it_waits(self, invitation: Invitation, job: Job, now: float, free: int | None, room: int) -> str:
        if invitation.tag.n == 1 and job.submit_to not in {"", self.settings.system}:
            return f"submitted to {job.submit_to}, not to {self.settings.system}"
        if not _is_pinned(invitation) and not self.settings.unpinned:
            return f"{self.settings.system} takes only jobs submitted to it"
        if words := self.dependencies.why_waiting(job):
            return words
        if room < 1:
            return f"{self.settings.system} holds {self.settings.max_held} jobs already"
        if not _is_pinned(invitation) and invitation.age_s(now) < self._delay(free):
            return "other systems may start it sooner"
        return ""

    def _delay(self, free: int | None) -> float:
        wait = expected_wait(free, self.holdings.recent_waits)
        return claim_delay(wait, self.settings.handicap_s, self.settings.poll_interval_s)

    def _with_free_slots(self, due: list[Invitation]) -> tuple[list[Invitation], int | None]:
        """How much is free, if anybody needs to know; while nobody can say, unpinned jobs wait."""
        unpinned = [each for each in due if not _is_pinned(each)]
        if not unpinned:
            return due, None
        try:
            return due, self._free_slots()
        except SchedulerUnavailable as error:
            for each in unpinned:
                each.note = str(error)
            return [each for each in due if _is_pinned(each)], None

    def _free_slots(self) -> int | None:
        free = self.scheduler.free_slots()
        if free is None:
            return None
        return free - sum(1 for held in self.holdings.unfinished() if not held.has_started)

    # Taking ----------------------------------------------------------------------------------

    def _take(self, invitation: Invitation) -> HeldJob | None:
        with self.trouble.of_invitation(invitation):
            stored, tag = _stored(invitation), invitation.tag
            if stored.job.is_final:
                self.end_job.confirm_final(stored.job)
                self._clear(invitation)
                return None
            if stored.job.claim == tag.n and stored.job.run_system == self.settings.system:
                return self._adopt(tag, stored)
            standing = self._standing_claim(invitation, tag, stored)
            if standing is None:
                return None
            if not standing.claim.is_run_by(self.settings.system):
                self._settle(invitation, stored, standing.claim)
            elif standing.is_ours or self._is_newest(tag):
                return self._hold(tag, stored, standing.claim)
            else:
                self._give_up(tag)
        return None

    def _adopt(self, tag: ClaimTag, stored: StoredJob) -> HeldJob | None:
        """Hold what the record says is ours; before a hand-over the claim itself must agree."""
        if stored.job.time_ready is not None:
            return self._hold(tag, stored, None)
        newest = self.jobs.newest_claim(tag.job_id)
        if newest is None or newest.n != tag.n or not newest.is_run_by(self.settings.system):
            self._give_up(tag)
            return None
        return self._hold(tag, stored, newest)

    def _standing_claim(self, invitation: Invitation, tag: ClaimTag, stored: StoredJob) -> ClaimResult | None:
        if stored.job.claim > tag.n:
            claim = self.jobs.claim(tag)
            if claim is None:
                self._clear(invitation)
            return ClaimResult(claim, is_ours=False) if claim else None
        previous = self.jobs.claim(ClaimTag(tag.job_id, tag.n - 1)) if tag.n > 1 else None
        if not may_create_run_claim(tag.n, previous, self.settings.system):
            note = f"claim {tag.n} may not be made: claim {tag.n - 1} does not offer the job"
            invitation.back_off(self.clock.elapsed(), note)
            return None
        never = self.dependencies.why_never(stored.job)
        claim = self._cancel_claim(tag, never) if never else self._run_claim(tag)
        return self.jobs.create_claim(tag.job_id, claim)

    def _is_newest(self, tag: ClaimTag) -> bool:
        """Whether no claim came after ours, which was made before this process looked."""
        newest = self.jobs.newest_claim(tag.job_id)
        return newest is not None and newest.n == tag.n

    def _give_up(self, tag: ClaimTag) -> None:
        """The claim was ours once, and a newer one replaced it."""
        self.holdings.invitations.pop(tag, None)
        self.holdings.superseded.add(tag)

    def _run_claim(self, tag: ClaimTag) -> Claim:
        return Claim(
            n=tag.n,
            kind=ClaimKind.RUN,
            nonce=self.ids.nonce(),
            time=self.clock.now(),
            system=self.settings.system,
            epoch=self.lease.epoch,
            home=self.workspace.home,
        )

    def _cancel_claim(self, tag: ClaimTag, reason: str) -> Claim:
        return Claim(
            n=tag.n,
            kind=ClaimKind.CANCEL,
            nonce=self.ids.nonce(),
            time=self.clock.now(),
            by=f"the agent of {self.settings.system}",
            reason=reason,
        )

    def _settle(self, invitation: Invitation, stored: StoredJob, standing: Claim) -> None:
        """Somebody else's claim stands: finish what it began, let go of the marker."""
        if standing.kind is ClaimKind.CANCEL:
            self.end_job.finish_canceled(stored, standing)
        elif standing.kind is ClaimKind.RELEASE:
            self.take_back.finish(stored.job.uuid, standing)
        self._clear(invitation)

    def _hold(self, tag: ClaimTag, stored: StoredJob, claim: Claim | None) -> HeldJob:
        """Hold the job; without *claim* by what the record says of it."""
        job = stored.job if claim is None else stored.job.received(claim, self.clock.now())
        return HeldJob(
            tag=tag,
            stored=stored,
            job=job,
            space=self.workspace.space(tag),
            claim_nonce=claim.nonce if claim else "",
            may_have_log_pieces=stored.job.time_start is not None,
            is_elsewhere=job.home != self.workspace.home,
        )


def _stored(invitation: Invitation) -> StoredJob:
    assert invitation.stored is not None  # noqa: S101 (only read invitations are chosen)
    return invitation.stored


def _job(invitation: Invitation) -> Job:
    return _stored(invitation).job


def _is_pinned(invitation: Invitation) -> bool:
    """Whether no other system was invited: by its owner, or by the one who took it back."""
    job = _job(invitation)
    return bool(job.submit_to) if invitation.tag.n == 1 else len(job.invited) == 1
