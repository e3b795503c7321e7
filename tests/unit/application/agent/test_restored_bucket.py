"""A bucket that was restored from a backup, so that newer objects are gone (protocol 4.8 and 5.6)."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, evolve

from cloudq.adapters.job_repository import BucketJobFiles
from cloudq.adapters.object_stores.wrappers.passing_on import PassingOn
from cloudq.adapters.workspace import DirectoryLeaseMemory
from cloudq.application.shared.cancel_job import CancelResult
from cloudq.domain.errors import ClaimMissing, StoreUnavailable
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.jobs.job_state import JobState
from cloudq.ports.object_store import ObjectStore
from cloudq.ports.workers import Lane
from cloudq.testing.memory_store import MemoryStore
from tests.parts.held_up_workers import held_up
from tests.parts.scripted_scheduler import Script
from tests.parts.world import Agent, System, World


@define
class MeanwhileStore(PassingOn):
    """A store that lets others act before the object *key* is first created or rewritten."""

    inner: ObjectStore
    key: str
    act: Callable[[], None]
    _has_acted: bool = False

    def put_if_absent(self, key: str, body: bytes) -> str:
        self._let_others_act(key)
        return self.inner.put_if_absent(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        self._let_others_act(key)
        return self.inner.put_if_match(key, body, etag)

    def _let_others_act(self, key: str) -> None:
        if key == self.key and not self._has_acted:
            self._has_acted = True
            self.act()


def backup(world: World) -> MemoryStore:
    return copy.deepcopy(world.store)  # type: ignore[return-value]


def restore(world: World, kept: MemoryStore, *, confirmed: bool = True) -> None:
    """Restore the backup; a person confirms it with ``cloudqd --confirm``."""
    assert isinstance(world.store, MemoryStore)
    world.store._held = dict(kept._held)
    if confirmed:
        DirectoryLeaseMemory(world.tmp / "alpha", "alpha").confirm()


def lose_files(world: World, job_id: str) -> None:
    cache = world.tmp / "alpha" / "cache"
    shutil.rmtree(cache / ".cloudq" / f"{job_id}.1")
    shutil.rmtree(cache / job_id)


# Confirming -----------------------------------------------------------------------------------


def test_until_a_person_confirms_a_restored_bucket_no_job_is_started(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(300))
    agent = world.agent(alpha)
    running = world.submit("alpha")
    agent.until(lambda: world.job(running).state is JobState.RUN)
    agent.parts.run._give_back()
    kept = backup(world)
    successor = world.agent(alpha)
    successor.cycle()
    successor.parts.run._give_back()
    restore(world, kept, confirmed=False)
    waiting = world.submit("alpha")
    third = world.agent(alpha)
    third.until_final(running)
    third.cycles(20)

    assert world.job(running).state is JobState.DONE
    assert world.job(waiting).state is JobState.INIT
    [told] = [each for each in world.client().list_agents() if each.system == "alpha"]
    assert told.last_error.endswith("until you check the bucket and confirm this home")

    DirectoryLeaseMemory(alpha.home, "alpha").confirm()
    third.until_final(waiting)
    assert world.job(waiting).state is JobState.DONE


# The ledger -----------------------------------------------------------------------------------


def test_a_job_that_was_started_here_is_not_started_again(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    kept = backup(world)
    agent.until_final(job_id)
    lose_files(world, job_id)
    restore(world, kept)
    successor = world.agent(alpha)
    world.clock.pass_by(400)

    successor.until_final(job_id)

    job = world.job(job_id)
    assert job.state is JobState.ERROR
    assert job.error_msg == (
        "not started again: claim 1 of this job was started here on 2026-01-31 at 12:00 UTC, and its files "
        "are gone: they were removed, or the bucket was restored from a backup. To run the job once more, "
        "rerun it."
    )
    assert len(alpha.scheduler.starts) == 1


def test_a_job_that_still_runs_is_followed_though_only_the_ledger_knows_it(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(1500))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    kept = backup(world)
    agent.until(lambda: bool(alpha.scheduler.starts))
    lose_files(world, job_id)
    restore(world, kept)
    successor = world.agent(alpha)
    world.clock.pass_by(400)

    successor.cycles(3)

    assert world.job(job_id).state in {JobState.READY, JobState.RUN}
    assert len(alpha.scheduler.starts) == 1


def test_a_job_of_an_older_client_is_run_without_a_look_at_the_ledger(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3))
    job_id = world.submit("alpha")
    key = f"jobs/{job_id}/manifest.json"
    record = json.loads(world.body(key))
    del record["submission"]
    world.store.put(key, json.dumps(record).encode())

    world.agent(alpha).until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert not (alpha.home / "ledger").exists()


def test_no_job_ends_by_the_end_of_another_that_went_back(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3, exit_code=3))
    needed = world.submit("alpha")
    waiting = world.job(world.submit("alpha", hold_ok_jid=(needed,)))
    kept = backup(world)
    agent = world.agent(alpha)
    agent.until_final(needed)
    agent.cycles(2)
    cycle = agent.parts.run.cycle
    assert "ended as ERROR" in cycle.take_jobs.dependencies.why_never(waiting)

    restore(world, kept)
    cycle.begin_epoch()

    assert cycle.take_jobs.dependencies.why_never(waiting) == ""


def test_a_rerun_is_another_job_and_runs(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3))
    agent = world.agent(alpha)
    first, second = world.submit("alpha"), world.submit("alpha")

    agent.until_final(first, second)

    assert len(alpha.scheduler.starts) == 2
    assert world.job(first).submission != world.job(second).submission


def test_a_ledger_that_cannot_be_read_starts_nothing(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3))
    agent = world.agent(alpha)
    agent.until_final(world.submit("alpha"))
    [noted] = (alpha.home / "ledger").glob("*/*")
    noted.unlink()
    noted.mkdir()

    job_id = world.submit("alpha")
    agent.cycles(5)

    assert len(alpha.scheduler.starts) == 1
    assert world.job(job_id).state is JobState.INIT
    noted.rmdir()
    agent.until_final(job_id)


def test_files_that_were_made_for_a_claim_that_went_back_are_made_anew(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3, outputs={"made": b"1"}))
    job_id = world.submit("alpha")
    kept = backup(world)
    agent = world.agent(alpha)
    held_up(agent, Lane.SUBMIT)
    agent.cycles(3)
    owner = alpha.home / "cache" / ".cloudq" / f"{job_id}.1" / "owner.json"
    before = owner.read_text()
    agent.parts.run._give_back()
    restore(world, kept)
    successor = world.agent(alpha)
    world.clock.pass_by(400)

    successor.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert owner.read_text() != before
    assert len(alpha.scheduler.starts) == 1


# Deletions ------------------------------------------------------------------------------------


def test_a_job_that_was_deleted_before_it_was_claimed_does_not_come_back(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3))
    beta = world.system("beta", behaviour=lambda *_: Script(3))
    job_id = world.submit("alpha", "beta")

    def run_and_delete_it() -> None:
        world.agent(beta).until_final(job_id)
        world.client().delete(job_id)

    agent = world.agent(
        alpha, store=MeanwhileStore(world.store, f"jobs/{job_id}/claims/1.json", run_and_delete_it)
    )
    agent.cycles(40)

    assert len(beta.scheduler.starts) == 1
    assert alpha.scheduler.starts == []
    assert f"jobs/{job_id}/manifest.json" not in world.stored()
    assert world.stored("queue/") == []


def test_a_cancel_that_stood_still_ends_no_job_that_was_claimed_after_the_bucket_went_back(
    world: World,
) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(300))
    job_id = world.submit("alpha")
    kept, agent = backup(world), world.agent(alpha)

    def go_back_and_run_it() -> None:
        restore(world, kept)
        agent.until(lambda: world.job(job_id).state is JobState.RUN)

    store = MeanwhileStore(world.store, f"jobs/{job_id}/manifest.json", go_back_and_run_it)
    with pytest.raises(ClaimMissing):
        world.client(store).cancel(job_id)

    assert world.job(job_id).state is JobState.RUN
    assert world.client().cancel(job_id) is CancelResult.REQUESTED


# Control directories --------------------------------------------------------------------------


def test_a_finished_job_that_came_back_ends_again_by_its_records(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3, 7, outputs={"made": b"1"}))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    kept = backup(world)
    agent.until_final(job_id)
    restore(world, kept)
    successor = world.agent(alpha)
    world.clock.pass_by(400)

    successor.until_final(job_id)

    assert (world.job(job_id).state, world.job(job_id).exit_code) == (JobState.ERROR, 7)
    assert world.job(job_id).size_output
    assert len(alpha.scheduler.starts) == 1


def test_a_finished_job_that_came_back_keeps_its_files_while_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3, outputs={"made": b"1"}))
    agent = world.agent(alpha, keep_s=3600.0)
    job_id = world.submit("alpha")
    kept = backup(world)
    agent.until_final(job_id)
    agent.cycles(10)
    agent.die()
    restore(world, kept)
    world.clock.pass_by(7200)
    successor = world.agent(alpha, keep_s=3600.0)
    # The stage-out fails for longer than the time after which files are removed.
    with monkeypatch.context() as patched:
        patched.setattr(BucketJobFiles, "put_output", down)
        successor.cycles(200)
        assert not world.job(job_id).is_final

    successor.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert world.job(job_id).size_output
    assert len(alpha.scheduler.starts) == 1


def down(*_: object, **__: object) -> None:
    raise StoreUnavailable("503")


# Objects that vanish while the job is held ----------------------------------------------------


def running(world: World, duration_s: float = 600.0) -> tuple[str, System, Agent]:
    alpha = world.system("alpha", behaviour=lambda *_: Script(duration_s, outputs={"made": b"1"}))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    return job_id, alpha, agent


def forget(world: World, *prefixes: str) -> None:
    for prefix in prefixes:
        world.store.delete(world.stored(prefix))


def parts_of(job_id: str) -> dict[str, tuple[str, ...]]:
    manifest, claims = f"jobs/{job_id}/manifest.json", f"jobs/{job_id}/claims/"
    entry = f"queue/alpha/{job_id}."
    return {
        "manifest": (manifest,), "claims": (claims,), "entry": (entry,),
        "manifest and entry": (manifest, entry), "manifest and claims": (manifest, claims),
        "all": (f"jobs/{job_id}/", entry),
    }  # fmt: skip


LOST = sorted(parts_of("00000001"))


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("lost", LOST)
def test_a_running_job_is_followed_to_its_end_whatever_expired(
    world: World, lost: str, is_restarted: bool
) -> None:
    job_id, alpha, agent = running(world)
    forget(world, *parts_of(job_id)[lost])
    if is_restarted:
        agent.die()
        agent = world.agent(alpha)

    agent.until(lambda: bool(world.stored("history/")))

    job = world.job(job_id)
    assert (job.state, job.run_system, bool(job.size_output)) == (JobState.DONE, "alpha", True)
    assert len(alpha.scheduler.starts) == 1
    assert alpha.scheduler.canceled == []
    agent.cycles(10)
    assert world.stored("queue/") == []
    assert len(world.stored("history/")) == 1


def test_what_was_lost_is_told_in_log_heartbeat_and_record(world: World) -> None:
    job_id, _, agent = running(world)
    forget(world, f"jobs/{job_id}/manifest.json")

    agent.until(lambda: bool(world.stored("history/")))

    lost = f"the record of job ({job_id})"
    assert [about["lost"] for _, event, about in world.log.told if "lost something" in event] == [lost]
    assert lost in agent.parts.lease.last_error
    assert any("missing from the store" in change.reason for change in world.job(job_id).changes)


def test_a_manifest_that_expired_does_not_cancel_a_job_at_its_start(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(60))
    alpha.scheduler.holds_queue = True
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until(lambda: world.job(job_id).state is JobState.READY)
    forget(world, f"jobs/{job_id}/manifest.json")

    alpha.scheduler.holds_queue = False
    agent.until(lambda: bool(world.stored("history/")))

    assert world.job(job_id).state is JobState.DONE
    assert alpha.scheduler.canceled == []


def test_an_older_record_that_came_back_is_brought_up_to_date(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(600))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    kept = backup(world)
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    for key in world.stored(f"jobs/{job_id}/claims/"):
        world.store.delete([key])
    world.store.put(f"jobs/{job_id}/manifest.json", kept.get(f"jobs/{job_id}/manifest.json").body)

    agent.until_final(job_id)

    job = world.job(job_id)
    assert (job.state, job.claim) == (JobState.DONE, 1)
    assert world.stored(f"jobs/{job_id}/claims/") == [f"jobs/{job_id}/claims/1.json"]
    assert len(alpha.scheduler.starts) == 1


@pytest.mark.parametrize("backed_up_as", ["nothing yet", "INIT"])
def test_outputs_that_went_back_before_the_end_was_recorded_are_brought_again(
    world: World, backed_up_as: str
) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(60, stdout="result"))
    kept = backup(world)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    if backed_up_as == "INIT":
        kept = backup(world)
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    (alpha.home / "cache" / job_id / "made").write_text("by the script")
    finish = agent.parts.run.cycle.finish_jobs
    repository = finish.jobs

    class GoesBack:
        def __getattr__(self, name: str) -> Any:
            return getattr(repository, name)

        def replace(self, stored: StoredJob, job: Job) -> StoredJob:
            if job.is_final:
                finish.jobs = repository
                restore(world, kept)
            return repository.replace(stored, job)

    finish.jobs = GoesBack()  # type: ignore[assignment]

    agent.until_final(job_id)

    job = world.job(job_id)
    assert job.state is JobState.DONE
    assert world.store.get(f"jobs/{job_id}/1/stdout").body == b"result"
    assert job.output_files == 1
    assert world.stored(f"jobs/{job_id}/1/output")
    assert len(alpha.scheduler.starts) == 1


def test_a_waiting_job_whose_queue_entry_expired_is_offered_again(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(30))
    agent = world.agent(alpha)
    first = world.submit("alpha", "beta")
    second = world.submit("alpha", hold_jid=(first,))
    agent.cycles(3)
    forget(world, f"queue/alpha/{second}.")
    agent.parts.run.cycle.watch_queue.list_again()

    agent.until_final(first, second)

    assert world.job(second).state is JobState.DONE
    assert len(alpha.scheduler.starts) == 2


def test_a_waiting_job_that_was_canceled_is_not_offered_again(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3000))
    agent = world.agent(alpha)
    first = world.submit("alpha")
    second = world.submit("alpha", hold_jid=(first,))
    agent.cycles(3)

    world.client().cancel(second)
    agent.cycles(100)

    assert not [key for key in world.stored("queue/") if second in key]
    assert world.job(second).state is JobState.DELETED


# Jobs that were ended or deleted on purpose ---------------------------------------------------


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_job_that_was_canceled_by_force_and_deleted_stays_gone(world: World, is_restarted: bool) -> None:
    job_id, alpha, agent = running(world, 30_000)
    client = world.client()
    world.clock.pass_by(2000)
    client.cancel.without_the_holder(job_id, 1, force=True)
    client.delete(job_id, force=True)
    if is_restarted:
        agent.die()
        agent = world.agent(alpha)

    agent.cycles(100)

    assert [key for key in world.stored() if job_id in key] == []
    assert alpha.scheduler.canceled == ["1"]


def test_a_job_that_was_deleted_by_force_before_it_was_put_away_stays_gone(world: World) -> None:
    job_id, alpha, agent = running(world, 30)
    agent.until_final(job_id)
    world.store.put(f"queue/alpha/{job_id}.1", b"")
    (alpha.home / "cache" / ".cloudq" / f"{job_id}.1" / "staged_out").unlink()
    agent.die()
    world.clock.pass_by(4000)
    world.client().delete(job_id, force=True)

    world.agent(alpha).cycles(100)

    assert [key for key in world.stored() if job_id in key] == []


def test_the_entry_of_a_job_whose_record_only_another_home_has_stays(world: World) -> None:
    job_id, alpha, agent = running(world, 200)
    agent.parts.run._give_back()
    world.store.delete([f"jobs/{job_id}/manifest.json"])
    other = world.agent(evolve(alpha, home=world.tmp / "other home"))
    other.cycles(100)
    other.parts.run._give_back()

    successor = world.agent(alpha)
    successor.cycles(5)
    successor.until_final(job_id, longest_s=5000)

    assert world.job(job_id).state is JobState.DONE
    assert len(alpha.scheduler.starts) == 1


def test_a_job_that_another_home_ended_and_a_client_deleted_stays_gone(world: World) -> None:
    """Found by the simulation: the files of the first home were never staged out."""
    job_id, alpha, agent = running(world, 30_000)
    agent.die()
    elsewhere = evolve(alpha, home=world.tmp / "other home")
    other = world.agent(elsewhere)
    world.client().cancel(job_id)
    other.until_final(job_id)
    other.cycles(5)
    other.die()
    world.client().delete(job_id)

    world.agent(alpha).cycles(100)

    assert [key for key in world.stored() if job_id in key] == []


def test_a_client_that_ended_a_job_of_a_restored_bucket_wins(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(30_000))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    kept = backup(world)
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    world.store.delete([f"jobs/{job_id}/claims/1.json"])
    world.store.put(f"jobs/{job_id}/manifest.json", kept.get(f"jobs/{job_id}/manifest.json").body)

    world.client().cancel(job_id)
    agent.cycles(100)

    assert world.job(job_id).state is JobState.DELETED
    assert alpha.scheduler.canceled == ["1"]
    assert world.stored("queue/") == []


def test_a_job_whose_start_only_another_home_recorded_is_not_started_again(world: World) -> None:
    """A copy of this home started it and was lost; a third home followed it by the scheduler's answers."""
    job_id, alpha, agent = running(world, 3000)
    agent.parts.run._give_back()
    lose_files(world, job_id)
    shutil.rmtree(alpha.home / "ledger")
    key = f"jobs/{job_id}/manifest.json"
    record = json.loads(world.body(key))
    del record["time_ready"]
    world.store.put(key, json.dumps(record).encode())

    world.agent(alpha).cycles(20)

    assert world.job(job_id).state is JobState.RUN
    assert len(alpha.scheduler.starts) == 1


# A home in doubt may be a copy, and the original has the records -------------------------------


def test_a_home_in_doubt_calls_no_job_lost_until_a_person_confirms(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(50, dies_without_record=True), forget_after_s=0.0)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    memory = DirectoryLeaseMemory(alpha.home, "alpha")
    memory.raise_doubt("this home may be a copy")
    agent.cycles(200)

    assert world.job(job_id).state is JobState.RUN

    memory.confirm()
    agent.until_final(job_id)
    assert world.job(job_id).error_msg.startswith("lost")


def test_a_home_in_doubt_calls_no_job_lost_whose_files_it_lacks(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(50), forget_after_s=0.0)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    agent.parts.run._give_back()
    lose_files(world, job_id)
    world.clock.pass_by(100)
    DirectoryLeaseMemory(alpha.home, "alpha").raise_doubt("this home may be a copy")
    successor = world.agent(alpha)
    successor.cycles(400)

    assert not world.job(job_id).is_final


def test_a_home_in_doubt_ends_no_canceled_job_whose_files_it_lacks(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(50), forget_after_s=0.0)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    agent.parts.run._give_back()
    lose_files(world, job_id)
    world.clock.pass_by(100)
    memory = DirectoryLeaseMemory(alpha.home, "alpha")
    memory.raise_doubt("this home may be a copy")
    world.client().cancel(job_id)
    successor = world.agent(alpha)
    successor.cycles(100)

    assert not world.job(job_id).is_final

    memory.confirm()
    successor.until_final(job_id)
    assert world.job(job_id).state is JobState.DELETED
