"""Take the jobs that a system is invited to (protocol 4.1, 5.4, 7.2 to 7.4)."""

from __future__ import annotations

from attrs import define, field

from cloudq.application.agent.agent_settings import AgentSettings
from cloudq.application.agent.check_dependencies import CheckDependencies
from cloudq.application.agent.choose_jobs import ChooseJobs
from cloudq.application.agent.held_job import HeldJob, LogUploads
from cloudq.application.agent.hold_lease import HoldLease
from cloudq.application.agent.holdings import Holdings, Invitation
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.application.agent.keep_hold import KeepHold
from cloudq.application.shared.end_job import EndJob, load_or_none
from cloudq.application.shared.take_back_job import TakeBackJob
from cloudq.domain.jobs.claim import Claim, ClaimKind, may_create_run_claim
from cloudq.domain.jobs.job import StoredJob
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.job_repository import ClaimResult, JobRepository
from cloudq.ports.workers import Workers
from cloudq.ports.workspace import Workspace

READ_AGAIN_AFTER_S = 3600.0
"""When a record is read again: a process that ended the job may have died before it deleted the entry."""
MAX_READ_A_CYCLE = 2000
"""A limit on the reads per cycle, so that its other steps get their turn."""
MAX_KEPT_BYTES = 96 * 1024 * 1024
"""A limit on the kept records of jobs that are not held; further jobs wait until some are held."""


@define
class TakeJobs:
    """Claim jobs that may be claimed, adopt jobs that are held already, and clear jobs that are over."""

    jobs: JobRepository
    keep_hold: KeepHold
    end_job: EndJob
    take_back: TakeBackJob
    dependencies: CheckDependencies
    choose: ChooseJobs
    workspace: Workspace
    clock: Clock
    ids: IdSource
    workers: Workers
    lease: HoldLease
    settings: AgentSettings
    holdings: Holdings
    trouble: JobTrouble
    _room: int = field(default=MAX_KEPT_BYTES, init=False)

    def begin_epoch(self) -> None:
        """Forget what was read in the last epoch."""
        self.dependencies.begin_epoch()

    def __call__(self) -> None:
        """Consider every invitation that is due."""
        now = self.clock.elapsed()
        kept = (invitation.stored for invitation in self.holdings.invitations.values())
        self._room = MAX_KEPT_BYTES - sum(stored.size for stored in kept if stored is not None)
        due = [invitation for invitation in self.holdings.invitations.values() if invitation.retry_at <= now]
        self.workers.map(self._read, self._to_be_read(due, now))
        due = [invitation for invitation in due if invitation.stored is not None]
        taken = self.workers.map(self._take, self.choose(due, now))
        for held in taken:
            if held is not None:
                self.holdings.invitations.pop(held.tag, None)
                self.holdings.held[held.tag] = held
                self.trouble.log.info("job taken", job=held.job.uuid, name=held.job.name)

    # Reading ---------------------------------------------------------------------------------

    def _to_be_read(self, due: list[Invitation], now: float) -> list[Invitation]:
        """Return the oldest invitations that are new, were absent at the last listing, or were read long ago.

        Those that could not be read before come last; otherwise they would keep all others out.
        """
        listed = [invitation for invitation in due if invitation.is_newly_listed]
        unread = [
            invitation
            for invitation in listed
            if invitation.stored is None or now - invitation.read_at >= READ_AGAIN_AFTER_S
        ]
        return sorted(unread, key=lambda entry: (entry.retries, -entry.age_s(now)))[:MAX_READ_A_CYCLE]

    def _read(self, invitation: Invitation) -> None:
        with self.trouble.of_invitation(invitation):
            invitation.stored = load_or_none(self.jobs, invitation.tag.job_id)
            invitation.is_newly_listed, invitation.read_at = False, self.clock.elapsed()
            if invitation.stored is None:
                self._note_absent(invitation)
            else:
                invitation.absent_listings = 0
                self._keep(invitation, invitation.stored)

    def _keep(self, invitation: Invitation, stored: StoredJob) -> None:
        """Keep the record just read, if there is room for it beside the others."""
        self._room -= stored.size
        if self._room < 0:
            invitation.stored, invitation.is_newly_listed = None, True
            invitation.back_off(self.clock.elapsed(), "too many jobs wait here; this one is read later")

    def _note_absent(self, invitation: Invitation) -> None:
        invitation.absent_listings += 1
        if self.keep_hold.recover(invitation.tag):
            invitation.is_newly_listed = True
        elif invitation.absent_listings > 1 and not self._is_of_another_home(invitation.tag):
            self._clear(invitation)

    def _is_of_another_home(self, tag: ClaimTag) -> bool:
        """Return whether another home of this system holds the job, and may put its lost record again.

        If its claim exists, the job was not deleted: a deletion removes the claims first.
        """
        claim = self.jobs.claim(tag)
        is_ours = claim is not None and claim.is_run_by(self.settings.system)
        return is_ours and claim is not None and claim.home not in {"", self.workspace.home}

    def _clear(self, invitation: Invitation) -> None:
        """Drop the invitation, and have its queue entry deleted after the next summary."""
        self.holdings.withdraw.add(invitation.tag)
        self.holdings.invitations.pop(invitation.tag, None)

    # Taking ----------------------------------------------------------------------------------

    def _take(self, invitation: Invitation) -> HeldJob | None:
        with self.trouble.of_invitation(invitation):
            stored, tag = invitation.read_record, invitation.tag
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
                return self._hold(tag, stored, standing.claim, is_new=standing.is_ours)
            else:
                self._give_up(tag)
        return None

    def _adopt(self, tag: ClaimTag, stored: StoredJob) -> HeldJob | None:
        """Hold a job that is ours by its record; before the hand-over, the claim itself must agree."""
        if stored.job.time_ready is not None:
            return self._hold(tag, stored, None)
        newest = self.keep_hold.newest_claim(tag, stored.job)
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
            if (made := self.jobs.claim(tag)) is not None:  # the bucket went back
                return ClaimResult(made, is_ours=False)
            note = f"claim {tag.n} cannot be created: claim {tag.n - 1} does not offer the job"
            invitation.back_off(self.clock.elapsed(), note)
            return None
        never = self._why_never(tag, stored)
        claim = self._cancel_claim(tag, never) if never else self._run_claim(tag, invitation.placement)
        invitation.may_be_claimed = True  # even if no answer arrives
        return self.jobs.create_claim(tag.job_id, claim)

    def _why_never(self, tag: ClaimTag, stored: StoredJob) -> str:
        """Return why the job must end without being run; empty if it may run.

        A client that may not end the job itself leaves a cancel request.
        """
        if tag in self.holdings.requests.cancels:
            return "canceled before it was run"
        return self.dependencies.why_never(stored.job)

    def _is_newest(self, tag: ClaimTag) -> bool:
        """Return whether our claim, which was made before this process looked, is still the newest."""
        newest = self.jobs.newest_claim(tag.job_id, tag.n)
        return newest is not None and newest.n == tag.n

    def _give_up(self, tag: ClaimTag) -> None:
        """Give up a claim that was ours and that a newer one replaced."""
        self.holdings.invitations.pop(tag, None)
        self.holdings.superseded.add(tag)

    def _run_claim(self, tag: ClaimTag, placement: str) -> Claim:
        return Claim(
            n=tag.n,
            kind=ClaimKind.RUN,
            nonce=self.ids.nonce(),
            time=self.clock.now(),
            system=self.settings.system,
            epoch=self.lease.epoch,
            home=self.workspace.home,
            reason=placement,
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
        """Finish what the claim of another process began, and give up the queue entry."""
        if standing.kind is ClaimKind.CANCEL:
            self.end_job.finish_canceled(stored, standing)
        elif standing.kind is ClaimKind.RELEASE:
            self.take_back.finish(stored.job.uuid, standing)
        elif not invitation.is_pinned:
            self.holdings.others_took.append(self.clock.elapsed())
        self._clear(invitation)

    def _hold(
        self, tag: ClaimTag, stored: StoredJob, claim: Claim | None, *, is_new: bool = False
    ) -> HeldJob:
        """Return the job as held: by *claim* or, without one, by its record."""
        job = stored.job if claim is None else stored.job.received(claim, self.clock.now())
        return HeldJob(
            tag=tag,
            stored=stored,
            job=job,
            space=self.workspace.space(tag),
            claim_nonce=claim.nonce if claim else "",
            is_newly_claimed=is_new,
            logs=LogUploads(may_have_pieces=stored.job.time_start is not None),
            is_elsewhere=job.home != self.workspace.home,
        )
