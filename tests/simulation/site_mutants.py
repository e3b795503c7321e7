"""Put in bugs that show only where a usual assumption is broken; the product had, or could have had, each."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from cloudq.adapters.codec import encode_lease
from cloudq.adapters.job_repository import keys
from cloudq.adapters.job_repository.jobs import BucketJobRepository
from cloudq.adapters.job_repository.systems import BucketSystemRegistry
from cloudq.adapters.object_stores.wrappers.dated import DatedStore
from cloudq.adapters.workspace import DirectoryWorkspace, lease_memory
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.application.agent.find_forgotten import FindForgotten
from cloudq.application.agent.hold_lease import HoldLease
from cloudq.application.agent.keep_hold import KeepHold
from cloudq.application.agent.permit import Permit
from cloudq.domain.errors import LeaseLost
from cloudq.domain.jobs.lease import HeldLease, LeaseNotes
from cloudq.domain.names import ClaimTag
from cloudq.ports.object_store import pages
from tests.simulation.bugs import change, mutant, registered
from tests.simulation.site import Kind

# The lease ------------------------------------------------------------------------------------------


@mutant("a holder that was stopped continues beside its successor", "I3", under=(Kind.STOPPED_CLOCKS,))
def heartbeat_without_a_condition(stack: ExitStack) -> None:
    def send_heartbeat(self: Any, system: str, lease: Any, _etag: str) -> str:
        etag: str = self.store.put(keys.lease(system), encode_lease(lease))
        return etag

    change(stack, BucketSystemRegistry, "send_heartbeat", send_heartbeat)
    change(stack, DatedStore, "passed_unseen_s", lambda *_: 0.0)


@mutant("a holder cannot detect from its own clocks that it was stopped", "I3", under=(Kind.STOPPED_CLOCKS,))
def dates_of_answers_ignored(stack: ExitStack) -> None:
    change(stack, DatedStore, "passed_unseen_s", lambda *_: 0.0)


@mutant("two copies of one process hold one lease", "I3", under=(Kind.CLONES,))
def heartbeat_shared_by_copies(stack: ExitStack) -> None:
    real = HoldLease._heartbeat_sent

    def beaten(self: Any, held: Any) -> Any:
        try:
            return real(self, held)
        except LeaseLost:
            seen = self.registry.newest_lease(self.identity.system)
            if seen is None or seen.lease.process != self.identity.process:
                raise
            return HeldLease.confirmed(self._sending(seen.lease), seen.etag)

    change(stack, HoldLease, "_heartbeat_sent", beaten)


@mutant("two copies of one process take the lease from each other", "I3", under=(Kind.CLONES,))
def shortcut_past_the_wait_without_an_own_nonce(stack: ExitStack) -> None:
    change(stack, LeaseNotes, "wrote", lambda *_: True)


@mutant("a copy of a home starts what the original has started", "I1", under=(Kind.CLONES,))
def copied_home_not_recognised(stack: ExitStack) -> None:
    change(stack, lease_memory, "why_not_the_same_home", lambda _: "")
    change(stack, HoldLease, "_is_of_a_copy", lambda *_: False)


@mutant(
    "a bucket from a backup offers jobs that have run in another home", "I1", under=(Kind.RESTORED_BUCKET,)
)
def restored_bucket_not_doubted(stack: ExitStack) -> None:
    change(stack, lease_memory.DirectoryLeaseMemory, "doubt", lambda _: "")


# The conclusions of a job's holder ------------------------------------------------------------------


@mutant("an agent does not see its own claim and treats it as replaced", "I5", "I9", under=(Kind.LATE_LIST,))
def newest_claim_by_list(stack: ExitStack) -> None:
    def newest(self: Any, job_id: str, _known: int = 0) -> Any:
        listed = [each.key for page in pages(self.store, keys.claims(job_id)) for each in page.objects]
        numbers = [int(key.rsplit("/", 1)[1].removesuffix(".json")) for key in listed]
        return self.claim(ClaimTag(job_id, max(numbers))) if numbers else None

    change(stack, BucketJobRepository, "newest_claim", newest)


@mutant("a claim whose files are gone is started again", "I1", under=(Kind.PURGE,))
def no_ledger(stack: ExitStack) -> None:
    change(stack, DirectoryWorkspace, "started_at", lambda *_: None)


@mutant("the job was not canceled: a rule of the bucket deleted its record", "I2", "I5", under=(Kind.EXPIRY,))
def vanished_manifest_taken_for_cancel(stack: ExitStack) -> None:
    change(stack, KeepHold, "is_replaced", lambda _self, held, stored=None: stored is None)
    change(stack, KeepHold, "recover", lambda *_: False)
    change(stack, FindForgotten, "__call__", lambda _: None)

    def put_record(self: Any, tag: Any, job: Any) -> Any:
        raise LeaseLost(f"the record of {tag} is gone")

    change(stack, KeepHold, "put_record", put_record)


@mutant(
    "two agents of one home both begin the first attempt", "I1", under=(Kind.HOST_LOCKS, Kind.STOPPED_CLOCKS)
)
def intent_written_over(stack: ExitStack) -> None:
    real = DirectoryClaimSpace.begin_attempt

    def begin(self: Any, number: int, *about: Any) -> Any:
        (self.control_dir / f"intent.{number}").unlink(missing_ok=True)
        return real(self, number, *about)

    change(stack, DirectoryClaimSpace, "begin_attempt", begin)


# Background work ------------------------------------------------------------------------------------


@mutant("an input is made again under a running script", "I1", under=(Kind.STOPPED_CLOCKS,))
def files_prepared_in_their_place(stack: ExitStack) -> None:
    change(stack, DirectoryClaimSpace, "making", lambda self, _: self)
    change(stack, DirectoryClaimSpace, "publish", lambda _: None)
    change(stack, DirectoryClaimSpace, "discard", lambda _: None)


@mutant("the owner was already informed that the job is canceled", "I5", under=(Kind.SLOW_WORK,))
def cancel_forgotten_while_a_download_runs(stack: ExitStack) -> None:
    change(stack, Permit, "revoke", lambda _: None)
    change(stack, DirectoryClaimSpace, "block", lambda *_: "none")


BUGS = registered()
