"""Waiting for several jobs: the results, the requests, and a store that does not answer for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from attrs import define, field

from cloudq.adapters.job_repository import BucketJobQueue, BucketJobRepository, keys
from cloudq.client import Client
from cloudq.domain.errors import CloudqError, JobNotFound, RecordRejected, StoreUnavailable, WaitTimedOut
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.task_states import TaskState
from cloudq.domain.names import ClaimTag
from cloudq.testing.fake_clock import FakeClock
from tests.builders import a_finished_job, a_job, at
from tests.parts.counting_store import CountingStore
from tests.parts.world import World


@define
class Schedule(FakeClock):
    """A clock at which things happen: each action runs once its time has come."""

    actions: list[tuple[float, Callable[[], object]]] = field(factory=list)

    def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)
        due = [action for time, action in self.actions if time <= self.seconds]
        self.actions = [(time, action) for time, action in self.actions if time > self.seconds]
        for action in due:
            action()


@pytest.fixture
def clock() -> Schedule:
    return Schedule()


@pytest.fixture
def world(tmp_path, clock: Schedule) -> World:  # type: ignore[no-untyped-def]
    world = World(tmp_path, clock)
    world.store = CountingStore(world.store)
    return world


@pytest.fixture
def store(world: World) -> CountingStore:
    assert isinstance(world.store, CountingStore)
    return world.store


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with Client(world.client()) as client:
        yield client


@define
class Jobs:
    """Jobs that end when a test says so."""

    world: World

    def begin(self, *job_ids: str) -> None:
        for job_id in job_ids:
            self.records.reserve(a_job(uuid=job_id))
            BucketJobQueue(self.world.store, self.world.ids).invite("alpha", ClaimTag(job_id, 1))

    def end(self, job_id: str, exit_code: int = 0, finished_at: float | None = None) -> None:
        """Write the final record and the history entry, as an agent does."""
        stored = self.records.load(job_id)
        state = JobState.ERROR if exit_code else JobState.DONE
        now = self.world.clock.seconds if finished_at is None else finished_at
        final = stored.job.ended(TaskState(state, exit_code), at(now))
        self.records.replace(stored, final)
        self.records.put_history(self.records.history_key(final))

    @property
    def records(self) -> BucketJobRepository:
        """The records, without counting the requests of their holder."""
        assert isinstance(self.world.store, CountingStore)
        return BucketJobRepository(self.world.store.inner, self.world.ids)


@pytest.fixture
def jobs(world: World) -> Jobs:
    return Jobs(world)


def test_all_jobs_are_awaited_and_returned_in_the_order_given(
    client: Client, clock: Schedule, jobs: Jobs
) -> None:
    jobs.begin("00000001", "00000002")
    clock.actions = [(10, lambda: jobs.end("00000001")), (20, lambda: jobs.end("00000002", 3))]
    ended = client.wait_all(["00000002", "00000001"])

    assert [(job.uuid, job.exit_code) for job in ended] == [("00000002", 3), ("00000001", 0)]
    assert clock.seconds < 25


def test_jobs_that_have_ended_already_are_not_awaited(client: Client, clock: Schedule, jobs: Jobs) -> None:
    jobs.begin("00000001", "00000002")
    jobs.end("00000001")
    jobs.end("00000002")

    assert len(client.wait_all(["00000001", "00000002"])) == 2
    assert clock.seconds == 0


def test_one_of_them_is_enough_with_any_of(client: Client, clock: Schedule, jobs: Jobs) -> None:
    jobs.begin("00000001", "00000002")
    clock.actions = [(10, lambda: jobs.end("00000002"))]

    assert [job.uuid for job in client.wait_all(["00000001", "00000002"], any_of=True)] == ["00000002"]


def test_each_end_is_reported_when_it_is_seen(client: Client, clock: Schedule, jobs: Jobs) -> None:
    jobs.begin("00000001", "00000002")
    clock.actions = [(10, lambda: jobs.end("00000002")), (20, lambda: jobs.end("00000001"))]
    ends: list[tuple[str, float]] = []
    client.wait_all(["00000001", "00000002"], ended=lambda job: ends.append((job.uuid, clock.seconds)))

    assert ends == [("00000002", 10), ("00000001", 20)]


def test_a_look_is_one_list_however_many_jobs_there_are(
    client: Client, clock: Schedule, jobs: Jobs, store: CountingStore
) -> None:
    ids = [f"{n:08x}" for n in range(50)]
    jobs.begin(*ids)
    requests: list[str] = []
    clock.actions = [
        (2, store.reset),
        (40, lambda: requests.extend(kind for kind, _ in store.requests)),
    ]
    clock.actions += [(41, lambda job_id=job_id: jobs.end(job_id)) for job_id in ids]
    client.wait_all(ids)

    assert requests == ["LIST"] * 19
    assert store.counts == {"LIST": 21, "GET": 50}


def test_ends_beyond_the_newest_hundred_are_found(client: Client, clock: Schedule, jobs: Jobs) -> None:
    jobs.begin("00000001", "00000002")

    def end_among_many_others() -> None:
        jobs.end("00000001")
        jobs.end("00000002")
        for n in range(300):
            jobs.records.put_history(
                jobs.records.history_key(a_finished_job(f"{n + 16:08x}", at(clock.seconds + 1)))
            )

    jobs.records.put_history(jobs.records.history_key(a_finished_job("ffffffff", at(-5))))
    clock.actions = [(10, end_among_many_others)]
    client.wait_all(["00000001", "00000002"])

    assert clock.seconds == 10


def test_an_end_by_a_clock_that_is_behind_is_found_within_a_minute(
    client: Client, clock: Schedule, jobs: Jobs
) -> None:
    for n in range(200):
        jobs.records.put_history(jobs.records.history_key(a_finished_job(f"{n + 16:08x}", at(n))))
    jobs.begin("00000001", "00000002")
    clock.actions = [
        (10, lambda: jobs.end("00000001", finished_at=-3600)),
        (10, lambda: jobs.end("00000002", finished_at=-3600)),
    ]
    client.wait_all(["00000001", "00000002"])

    assert clock.seconds <= 62


def test_a_store_that_does_not_answer_for_a_while_is_no_error(
    client: Client, clock: Schedule, jobs: Jobs, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.begin("00000001", "00000002")

    def gives_no_answer(*_: object, **__: object) -> None:
        raise StoreUnavailable("no answer")

    def go_away() -> None:
        for request in ("get_if_changed", "list_page", "get"):
            monkeypatch.setattr(type(store), request, gives_no_answer)

    clock.actions = [(4, go_away), (300, monkeypatch.undo)]
    clock.actions += [(310, lambda: jobs.end("00000001")), (310, lambda: jobs.end("00000002"))]

    assert len(client.wait_all(["00000001", "00000002"])) == 2
    assert 310 <= clock.seconds <= 372


def test_waiting_ends_in_time(client: Client, clock: Schedule, jobs: Jobs) -> None:
    jobs.begin("00000001", "00000002", "00000003")
    clock.actions = [(10, lambda: jobs.end("00000003"))]

    with pytest.raises(
        WaitTimedOut, match="2 jobs have not ended after 60 s; they continue: 00000001, 00000002"
    ):
        client.wait_all(["00000001", "00000002", "00000003"], timeout=60)
    assert clock.seconds == 60


def test_a_job_that_does_not_exist_is_an_error(client: Client, jobs: Jobs) -> None:
    jobs.begin("00000001")

    with pytest.raises(JobNotFound):
        client.wait_all(["00000001", "12345678"])


def test_the_others_are_awaited_if_errors_are_taken(client: Client, clock: Schedule, jobs: Jobs) -> None:
    jobs.begin("00000001", "00000002", "00000003")
    jobs.world.store.put(keys.manifest("00000003"), b"garbage")
    clock.actions = [(10, lambda: jobs.end("00000001"))]
    clock.actions += [(70, lambda: jobs.world.store.delete([keys.manifest("00000002")]))]
    errors: list[CloudqError] = []
    ended = client.wait_all(["00000003", "12345678", "00000001", "00000002"], failed=errors.append)

    assert [job.uuid for job in ended] == ["00000001"]
    assert [type(error) for error in errors] == [RecordRejected, JobNotFound, JobNotFound]


def test_no_jobs_need_no_waiting(client: Client, store: CountingStore) -> None:
    assert client.wait_all([]) == ()
    assert store.counts == {}
