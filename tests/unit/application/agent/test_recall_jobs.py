"""Jobs that only the summary of an older epoch lists (protocol 5.6)."""

from __future__ import annotations

import pytest
from attrs import evolve

from cloudq.adapters.job_repository import BucketJobRepository, BucketSystemRegistry
from cloudq.application.agent import recall_jobs
from cloudq.application.agent.prepare_job import PrepareJob
from cloudq.domain.errors import StoreUnavailable, WorkspaceFull
from cloudq.domain.jobs.claim import ClaimKind
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.summary import ActiveJob, ActiveSummary
from tests.builders import a_claim
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.parts.world import System, World

HOUR = 3600.0


@pytest.fixture
def alpha(world: World) -> System:
    return world.system("alpha", behaviour=lambda *_: Script(3))


def claimed(world: World, alpha: System, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a job whose claim was created by an agent that died before it made any of the job's files."""
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    with monkeypatch.context() as patched:
        patched.setattr(PrepareJob, "__call__", full)
        agent.cycles(4)
    agent.die()
    assert world.stored(f"jobs/{job_id}/claims/")
    assert not (alpha.home / "cache" / ".cloudq" / f"{job_id}.1").exists()
    return job_id


def waiting(world: World, alpha: System, *systems: str) -> tuple[str, str]:
    """Return a job, and one that waits for it without a claim; the agent that was invited has died."""
    agent = world.agent(alpha)
    first = world.submit("gamma")
    second = world.submit(*systems, hold_jid=(first,))
    agent.cycles(4)
    agent.die()
    return first, second


def full(*_: object, **__: object) -> None:
    raise WorkspaceFull("no space left")


def down(*_: object, **__: object) -> None:
    raise StoreUnavailable("503")


def expire(world: World, *prefixes: str) -> None:
    for prefix in prefixes:
        assert world.stored(prefix)
        world.store.delete(world.stored(prefix))
    world.clock.pass_by(HOUR)


def claim(world: World, job_id: str, n: int, kind: ClaimKind, **fields: object) -> None:
    made = a_claim(n, kind, **{"system": "", **fields})
    assert BucketJobRepository(world.store, world.ids).create_claim(job_id, made).is_ours


def queued(world: World, job_id: str) -> list[str]:
    return [key for key in world.stored("queue/") if job_id in key]


def summaries(world: World) -> list[str]:
    return world.stored("systems/alpha/active/")


# Jobs of this system -------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [("queue/alpha/{}.",), ("queue/alpha/{}.", "jobs/{}/claims/")])
def test_a_claimed_job_without_files_or_queue_entry_is_run(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch, lost: tuple[str, ...]
) -> None:
    job_id = claimed(world, alpha, monkeypatch)
    expire(world, *(prefix.format(job_id) for prefix in lost))
    successor = world.agent(alpha)

    successor.until_final(job_id)
    successor.cycles(5)

    assert world.job(job_id).state is JobState.DONE
    assert len(alpha.scheduler.starts) == 1
    assert world.stored("queue/") == []


def test_another_home_of_the_system_recalls_it_too(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = claimed(world, alpha, monkeypatch)
    expire(world, f"queue/alpha/{job_id}.")
    elsewhere = evolve(alpha, home=world.tmp / "other home")

    world.agent(elsewhere).cycles(60)

    assert queued(world, job_id) == [f"queue/alpha/{job_id}.1"]


def test_a_job_is_recalled_by_a_later_epoch_if_this_one_cannot_look(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = claimed(world, alpha, monkeypatch)
    expire(world, f"queue/alpha/{job_id}.")
    second = world.agent(alpha)
    with monkeypatch.context() as patched:
        patched.setattr(BucketJobRepository, "newest_claim", down)
        second.cycles(3)
    second.die()
    assert summaries(world) == ["systems/alpha/active/2.json"]

    world.agent(alpha).until_final(job_id)

    assert world.job(job_id).state is JobState.DONE


def test_what_a_process_held_is_recalled_though_no_summary_names_it(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = world.agent(alpha)
    agent.cycle()
    job_id = world.submit("alpha")
    with monkeypatch.context() as patched:
        patched.setattr(PrepareJob, "__call__", full)
        patched.setattr(BucketSystemRegistry, "publish_summary", down)
        agent.cycles(3)
    assert world.stored(f"jobs/{job_id}/claims/")
    expire(world, f"queue/alpha/{job_id}.")

    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert agent.parts.lease.epoch == 2


def test_older_summaries_stay_until_they_were_read(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = claimed(world, alpha, monkeypatch)
    expire(world, f"queue/alpha/{job_id}.")
    second = world.agent(alpha)
    with monkeypatch.context() as patched:
        patched.setattr(BucketSystemRegistry, "summary", down)
        second.cycles(3)
        assert summaries(world) == ["systems/alpha/active/1.json", "systems/alpha/active/2.json"]

    second.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert summaries(world) == ["systems/alpha/active/2.json"]


def test_a_look_that_failed_is_repeated_in_the_same_epoch(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = claimed(world, alpha, monkeypatch)
    expire(world, f"queue/alpha/{job_id}.")
    successor = world.agent(alpha)
    with monkeypatch.context() as patched:
        patched.setattr(BucketJobRepository, "newest_claim", down)
        successor.cycles(3)

    successor.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE


def test_no_more_than_a_bounded_number_is_looked_at_in_a_cycle(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall_jobs, "MOST_A_CYCLE", 2)
    gone = tuple(ActiveJob(f"{number:08x}", "run.sh", JobState.RUN, "alpha") for number in range(5))
    registry = BucketSystemRegistry(world.store, world.ids)
    agent = world.agent(alpha)
    agent.cycle()
    agent.die()
    registry.publish_summary("alpha", ActiveSummary(1, gone))
    world.clock.pass_by(HOUR)
    store = world.store = CountingStore(world.store)
    successor = world.agent(alpha)
    looked: list[int] = []

    for _ in range(4):
        store.reset()
        successor.cycles(1)
        looked.append(sum(1 for kind, key in store.requests if kind == "GET" and key.startswith("jobs/")))

    assert looked == [2, 2, 1, 0]


def test_a_summary_that_cannot_be_read_is_told_of_and_left(world: World, alpha: System) -> None:
    agent = world.agent(alpha)
    agent.cycle()
    agent.die()
    world.clock.pass_by(HOUR)
    world.store.put("systems/alpha/active/1.json", b"{}")

    world.agent(alpha).cycles(2)

    assert summaries(world) == ["systems/alpha/active/1.json", "systems/alpha/active/2.json"]
    assert [event for _, event, _ in world.log.told].count("an older summary cannot be read") == 1


def test_a_claim_without_an_answer_is_found_though_its_queue_entry_expired(
    world: World, alpha: System
) -> None:
    agent = world.agent(alpha)
    job_id = world.submit("alpha", hold_jid=(world.submit("gamma"),))
    agent.cycles(2)
    claim(world, job_id, 1, ClaimKind.RUN, system="alpha", home=agent.parts.run.cycle.workspace.home)
    world.store.delete([f"queue/alpha/{job_id}.1"])
    agent.parts.run.cycle.watch_queue.list_again()

    agent.cycle()

    assert queued(world, job_id) == [f"queue/alpha/{job_id}.1"]
    agent.until_final(job_id)


# Unclaimed jobs ------------------------------------------------------------------------------


def test_a_waiting_job_whose_queue_entry_expired_is_offered_again(world: World, alpha: System) -> None:
    first, second = waiting(world, alpha, "alpha")
    expire(world, f"queue/alpha/{second}.")
    world.client().cancel(first)

    world.agent(alpha).until_final(second)

    assert world.job(second).state is JobState.DONE
    assert queued(world, second) == []


def test_a_job_that_another_system_took_meanwhile_is_left_to_it(world: World, alpha: System) -> None:
    _, second = waiting(world, alpha, "alpha", "beta")
    expire(world, f"queue/alpha/{second}.")
    claim(world, second, 1, ClaimKind.RUN, system="beta")

    world.agent(alpha).cycles(100)

    assert queued(world, second) == [f"queue/beta/{second}.1"]


def test_a_job_that_was_canceled_and_deleted_meanwhile_stays_gone(world: World, alpha: System) -> None:
    _, second = waiting(world, alpha, "alpha")
    world.client().cancel(second)
    world.client().delete(second)
    world.clock.pass_by(HOUR)

    world.agent(alpha).cycles(100)

    assert [key for key in world.stored() if second in key] == []


def test_a_queue_entry_that_no_listing_shows_yet_is_not_put_again(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = claimed(world, alpha, monkeypatch)
    world.clock.pass_by(HOUR)
    store = world.store = CountingStore(world.store)
    successor = world.agent(alpha)
    page = type(store).list_page
    with monkeypatch.context() as patched:
        patched.setattr(
            CountingStore,
            "list_page",
            lambda self, prefix, **options: page(
                self, "none/" if prefix.startswith("queue/") else prefix, **options
            ),
        )
        successor.cycle()

    assert ("PUT", f"queue/alpha/{job_id}.1") not in store.requests
    assert queued(world, job_id)


# Interrupted work of others ------------------------------------------------------------------


def test_a_cancel_that_was_cut_short_is_finished(world: World, alpha: System) -> None:
    _, second = waiting(world, alpha, "alpha")
    claim(world, second, 1, ClaimKind.CANCEL, by="somebody")
    expire(world, f"queue/alpha/{second}.")

    world.agent(alpha).cycles(2)

    assert world.job(second).state is JobState.DELETED
    assert [key for key in world.stored("history/") if second in key]
    assert queued(world, second) == []


def test_a_final_job_gets_the_history_entry_that_was_not_written(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = waiting(world, alpha, "alpha")
    with monkeypatch.context() as patched:
        patched.setattr(BucketJobRepository, "put_history", down)
        with pytest.raises(StoreUnavailable):
            world.client().cancel(second)
    expire(world, f"queue/alpha/{second}.")

    world.agent(alpha).cycles(2)

    assert len([key for key in world.stored("history/") if second in key]) == 1


@pytest.mark.parametrize("systems", [("alpha",), ("beta",), ("beta", "alpha")])
def test_a_requeue_that_was_cut_short_is_finished(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch, systems: tuple[str, ...]
) -> None:
    job_id = claimed(world, alpha, monkeypatch)
    claim(world, job_id, 2, ClaimKind.RELEASE, system="alpha", systems=systems, no_longer=("alpha",))
    expire(world, f"queue/alpha/{job_id}.")

    world.agent(alpha).cycle()

    assert world.job(job_id).invited == systems
    assert set(queued(world, job_id)) >= {f"queue/{system}/{job_id}.3" for system in systems}
    assert world.job(job_id).state is JobState.INIT


def test_a_claim_whose_offer_went_back_and_was_made_differently_still_counts(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket went back to claim 1; since then, another requeue took the number of the one before."""
    job_id = claimed(world, alpha, monkeypatch)
    claim(world, job_id, 2, ClaimKind.RELEASE, system="alpha", systems=("beta",), no_longer=("alpha",))
    claim(world, job_id, 3, ClaimKind.RUN, system="alpha")
    claim(world, job_id, 4, ClaimKind.RELEASE, system="alpha", systems=("alpha",), no_longer=())
    world.store.delete(world.stored(f"queue/alpha/{job_id}."))
    world.store.put(f"queue/alpha/{job_id}.3", b"")

    world.agent(alpha).until_final(job_id)

    assert (world.job(job_id).state, world.job(job_id).claim) == (JobState.DONE, 5)


# Costs ---------------------------------------------------------------------------------------


def test_jobs_that_the_first_listing_shows_are_not_looked_at(
    world: World, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = claimed(world, alpha, monkeypatch)
    world.clock.pass_by(HOUR)
    store = world.store = CountingStore(world.store)

    world.agent(alpha).cycle()

    read = [key for kind, key in store.requests if kind == "GET" and job_id in key]
    assert read.count(f"jobs/{job_id}/manifest.json") == 1
    assert f"queue/alpha/{job_id}.1" not in read
