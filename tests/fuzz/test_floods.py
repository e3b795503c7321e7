"""Test a bucket that was flooded: agents survive with bounded memory and time, and serve honest jobs."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudq.domain.errors import CloudqError, RecordRejected
from tests.fuzz.flooded_store import FloodedStore
from tests.fuzz.hostile_world import HostileWorld
from tests.parts.scripted_scheduler import Script

MB = 1 << 20
MILLION = 1_000_000
GARBAGE = b"this is no JSON"


@pytest.fixture
def hostile(tmp_path: Path) -> HostileWorld:
    return HostileWorld(tmp_path)


def flooded(
    hostile: HostileWorld, total: int, key_of: Callable[[int], str], body: bytes | None = None
) -> FloodedStore:
    """Replace the world's store with one that has *total* more keys."""
    store = FloodedStore(hostile.world.clock.now, hostile.store.objects, total, key_of, body)
    hostile.store = hostile.world.store = store
    hostile.agent = hostile.world.agent(hostile.system)
    return store


def a_queue_entry(n: int) -> str:
    return f"queue/alpha/{n:08x}.1"


@contextmanager
def little_memory(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body", [None, GARBAGE], ids=["of jobs that are absent", "of records that are rubbish"]
)
def test_a_million_queue_entries_neither_stop_an_agent_nor_keep_an_honest_job_out(
    hostile: HostileWorld, body: bytes | None
) -> None:
    """The honest job comes last in every LIST. The test is scaled down to eight parts of a thousand each."""
    store = flooded(hostile, 8_000, a_queue_entry, body)
    hostile.world.ids.count = 0x0FFFFFFF
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cloudq.adapters.job_repository.queue.MAX_PAGES", 1)
        patch.setattr("cloudq.application.agent.take_jobs.MAX_READ_A_CYCLE", 500)
        honest = hostile.submit()
        assert honest > a_queue_entry(8_000).split("/")[-1]
        for _ in range(400):
            before = store.lists, store.gets
            hostile.cycle()
            assert store.lists - before[0] < 20
            assert store.gets - before[1] < 1_100  # one per record, one per claim without a record
            if hostile.world.job(honest).is_final:
                break
    hostile.until_done(honest)
    hostile.check()


def test_a_cycle_with_a_million_queue_entries_takes_bounded_memory_and_few_requests(
    hostile: HostileWorld,
) -> None:
    store = flooded(hostile, MILLION, a_queue_entry, GARBAGE)
    hostile.submit()
    with little_memory(120 * MB):
        hostile.cycle()

    assert store.lists < 120
    assert store.gets < 2_100
    hostile.check()


def test_requests_to_cancel_a_strangers_jobs_do_not_fill_the_day(hostile: HostileWorld) -> None:
    """Each request needs one query to the scheduler, and a cycle makes only a few of them."""
    flooded(hostile, 5_000, lambda n: f"queue/alpha/{n:08x}.1.cancel")
    hostile.cycle(1)
    asked = hostile.system.scheduler.queries
    honest = hostile.submit()
    hostile.until_done(honest)

    assert hostile.system.scheduler.queries - asked < 60 * 20
    assert hostile.system.scheduler.canceled == []
    hostile.check()


def test_requests_to_cancel_single_tasks_take_no_time_for_each_task_of_the_array(
    hostile: HostileWorld,
) -> None:
    hostile.system.scheduler._behaviour = lambda *_: Script(duration_s=10**6)
    victim = hostile.submit(array="1-2000")
    hostile.cycle(3)
    flooded(hostile, 3_000, lambda n: f"queue/alpha/{victim}.1.cancel.{n + 100_000_000}")
    hostile.world.clock.pass_by(1000)
    hostile.cycle(4)

    assert hostile.world.job(victim).state.value == "RUN"
    hostile.check()


def test_a_client_lists_very_many_queues_and_systems_in_bounded_memory(hostile: HostileWorld) -> None:
    honest = hostile.submit()
    flooded(hostile, 15_000, lambda n: f"queue/s{n:07}/{n:08x}.1")
    with little_memory(120 * MB):
        jobs = hostile.client().jobs()
    assert [job.job_id for job in jobs.jobs] == [honest]

    flooded(hostile, 15_000, lambda n: f"systems/s{n:07}/lease.json")
    with little_memory(120 * MB):
        assert hostile.client().jobs().jobs


def test_a_million_pieces_of_a_log_are_read_one_after_the_other(hostile: HostileWorld) -> None:
    hostile.system.scheduler._behaviour = lambda *_: Script(duration_s=10**6)
    victim = hostile.submit()
    hostile.cycle(3)
    store = flooded(hostile, MILLION, lambda n: f"jobs/{victim}/1/log/stdout/{n:020}")
    with little_memory(40 * MB):
        assert list(hostile.client().log(victim)) == []

    assert store.lists < 1_100
    hostile.check()


def test_a_million_entries_of_the_history_pass_one_page_at_a_time(hostile: HostileWorld) -> None:
    key = "history/{:015}~{:08x}~DONE~alpha~-~x"
    flooded(hostile, MILLION, lambda n: key.format(998_000_000_000_000 + n, n))
    with little_memory(20 * MB):
        assert sum(1 for _ in hostile.client().history(5_000)) == 5_000


def test_logs_of_tasks_that_a_job_does_not_have_are_not_brought_out(hostile: HostileWorld) -> None:
    job_id = hostile.submit()
    hostile.until_done(job_id)
    flooded(hostile, 100_000, lambda n: f"jobs/{job_id}/1/stdout.{n + 100_000}")
    folder = hostile.client().stage_out(job_id, hostile.tmp / "into")

    assert [path.name for path in folder.iterdir()] == ["run.sh"]
    hostile.check()


# Large records ---------------------------------------------------------------------------------------


def manifest(hostile: HostileWorld, job_id: str, **fields: object) -> bytes:
    return json.dumps(json.loads(hostile.world.body(f"jobs/{job_id}/manifest.json")) | fields).encode()


HUGE = {
    "a million empty lists": {"x": [[]] * MILLION},
    "a million empty objects": {"x": [{}] * MILLION},
    "a list of 200000 numbers": {"x": list(range(200_000))},
    "long options": {"submit_opt": "x" * 3_900_000},
    "20001 jobs to wait for": {"hold_jid": ["0000000a"] * 20_001},
    "9000 groups of all tasks": {
        "array_tid": "1-75000", "tasks": [{"ids": "1-75000", "state": "RUN", "exit_code": None}] * 9_000,
    },
    "9000 groups that interleave": {
        "array_tid": "1-75000",
        "tasks": [{"ids": "1-74999:2,2-75000:2", "state": "RUN", "exit_code": None}] * 9_000,
    },
    "a range of 10^9 tasks": {"array_tid": "1-999999999"},
    "9000 changes": {"changes": [{"state": "RUN", "time": "2026-01-31T12:00:00Z", "reason": ""}] * 9_000},
}  # fmt: skip


@pytest.mark.parametrize("what", HUGE)
def test_a_record_with_it_takes_little_memory_and_stops_nobody(hostile: HostileWorld, what: str) -> None:
    victim, honest = hostile.submit(), hostile.submit()
    body = manifest(hostile, victim, **HUGE[what])
    hostile.put(f"jobs/{victim}/manifest.json", body)
    with little_memory(80 * MB):
        hostile.cycle()
    hostile.until_done(honest)
    hostile.ask(hostile.tmp / "into", victim)
    hostile.check()


@pytest.mark.parametrize(
    "key", ["jobs/{}/manifest.json", "jobs/{}/claims/1.json", "jobs/{}/script/run.sh", "queue/alpha/{}.1",
            "queue/alpha/{}.1.cancel", "doorbell/alpha",
            "systems/beta/lease.json", "systems/beta/active/1.json"],
)  # fmt: skip
def test_a_huge_object_is_not_read_to_its_end(hostile: HostileWorld, key: str) -> None:
    """The tests of a store cover `max_bytes`; this one checks that every read has a limit."""
    victim = hostile.submit()
    limits: list[tuple[str, int]] = []
    get = hostile.store.get

    def watched(asked: str, *, max_bytes: int = 8 * MB) -> object:
        limits.append((asked, max_bytes))
        return get(asked, max_bytes=max_bytes)

    hostile.store.put(key.format(victim), b"x" * (9 * MB))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(hostile.store), "get", lambda _, asked, **told: watched(asked, **told))
        honest = hostile.submit()
        hostile.until_done(honest)
        hostile.ask(hostile.tmp / "into", victim)

    assert max(limit for _, limit in limits) <= 8 * MB
    hostile.check()


def test_jobs_that_hold_for_20000_others_leave_time_for_the_rest(hostile: HostileWorld) -> None:
    waiting = [hostile.submit() for _ in range(3)]
    for number, victim in enumerate(waiting):
        others = [f"{number:02x}{n:06x}" for n in range(19_000)]
        hostile.put(f"jobs/{victim}/manifest.json", manifest(hostile, victim, hold_jid=others))
    store = flooded(hostile, 0, a_queue_entry)
    honest, first = hostile.submit(), hostile.submit()
    after = hostile.submit(hold_jid=(first,))
    hostile.cycle()
    assert store.gets < 1_500
    hostile.until_done(honest, after, longest=200)
    hostile.check()


def test_jobs_that_wait_for_each_other_wait_and_stop_nobody(hostile: HostileWorld) -> None:
    one, other, own = hostile.submit(), hostile.submit(), hostile.submit()
    for job_id, holds in ((one, other), (other, one), (own, own)):
        hostile.put(f"jobs/{job_id}/manifest.json", manifest(hostile, job_id, hold_jid=[holds]))
    honest = hostile.submit()
    hostile.until_done(honest)
    hostile.cycle(30)

    assert {hostile.world.job(each).state.value for each in (one, other, own)} == {"INIT"}
    hostile.check()


def test_large_records_of_waiting_jobs_are_kept_only_as_far_as_there_is_room(
    hostile: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudq.application.agent.take_jobs.MAX_KEPT_BYTES", 300_000)
    for _ in range(8):
        victim = hostile.submit()
        body = manifest(hostile, victim, submit_opt="x" * 90_000, hold_jid=[victim])
        hostile.put(f"jobs/{victim}/manifest.json", body)
    hostile.cycle(3)
    kept = [each for each in hostile.agent.parts.holdings.invitations.values() if each.stored is not None]

    assert sum(each.stored.size for each in kept if each.stored) <= 300_000
    hostile.check()


def test_what_a_client_cannot_read_is_an_error_with_words(hostile: HostileWorld) -> None:
    victim = hostile.submit()
    hostile.put(f"jobs/{victim}/manifest.json", b"[" * 99_999)

    with pytest.raises(RecordRejected, match="nested too deeply") as told:
        hostile.client().job(victim)
    assert isinstance(told.value, CloudqError)
