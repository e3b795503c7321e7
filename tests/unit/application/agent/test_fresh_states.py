"""Fresh states: progress and reasons reach the summary, and a client may ask for the states of now (7.9)."""

from __future__ import annotations

import pytest
from attrs import define, evolve

from cloudq.adapters.job_repository import BucketJobQueue, BucketJobRepository, keys
from cloudq.application.agent.finish_jobs import PROGRESS_EVERY_S
from cloudq.application.agent.publish_summary import PROGRESS_INTERVAL_S
from cloudq.application.client.query_jobs import JobStatus
from cloudq.application.client.refresh_states import ANSWER_WITHIN_S
from cloudq.client import Client
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.ports.batch_scheduler import Submission
from cloudq.testing.fake_clock import FakeClock
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.parts.world import POLL_S, Agent, System, World

SECONDS = {None: 500.0, 1: 200.0, 2: 220.0, 3: 500.0}


def play(_: Submission, task: int | None) -> Script:
    return Script(SECONDS[task], exit_code=int(task == 2))


@define
class WorkingClock(FakeClock):
    """A clock that lets the agent work while a client waits."""

    agent: Agent | None = None

    def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)
        if self.agent is not None:
            self.agent.cycle()


@pytest.fixture
def world(tmp_path: object) -> World:
    return World(tmp_path, WorkingClock())  # type: ignore[arg-type]


@pytest.fixture
def alpha(world: World) -> System:
    return world.system(behaviour=play, poll_interval_s=50.0)


@pytest.fixture
def agent(world: World, alpha: System) -> Agent:
    return world.agent(alpha)


def status(world: World, job_id: str, *, fresh: bool = False) -> JobStatus:
    return Client(world.client()).status(job_id, fresh=fresh)


def works_while_clients_wait(world: World, agent: Agent) -> None:
    assert isinstance(world.clock, WorkingClock)
    world.clock.agent = agent


def half_done(world: World, agent: Agent) -> str:
    """Return an array of which two tasks have ended, while its record shows one."""
    job_id = world.submit("alpha", array="1-3")
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    agent.until(lambda: status(world, job_id).progress == "2/3, 1 failed")
    assert world.job(job_id).tasks.progress == "1/3"
    return job_id


# Without a question ------------------------------------------------------------------------------


def test_progress_of_an_array_is_in_the_list_before_it_is_in_the_record(world: World, agent: Agent) -> None:
    job_id = half_done(world, agent)

    [line] = world.client().query.active().jobs
    assert (line.state, line.progress) == (JobState.RUN, "2/3, 1 failed")
    agent.cycles(int(PROGRESS_EVERY_S / POLL_S) + 1)
    assert world.job(job_id).tasks.progress == "2/3, 1 failed"


def test_status_names_the_age_of_task_states_that_are_behind(world: World, agent: Agent) -> None:
    job_id = half_done(world, agent)

    behind_s = status(world, job_id).behind_s
    assert behind_s is not None
    assert 0 < behind_s <= PROGRESS_EVERY_S
    agent.cycles(int(PROGRESS_EVERY_S / POLL_S) + 1)
    assert status(world, job_id).behind_s is None


def test_mere_progress_rewrites_the_summary_at_most_every_15_seconds(world: World, alpha: System) -> None:
    alpha.scheduler._behaviour = lambda _, task: Script(float(task or 0) * 2)
    alpha.scheduler._poll_interval_s = 0.0
    world.store = store = CountingStore(world.store)
    agent = world.agent(alpha)
    world.submit("alpha", array="1-100")
    agent.cycles(4)
    store.reset()

    agent.cycles(24)

    summaries = [key for kind, key in store.requests if kind == "PUT" and "/active/" in key]
    assert 0 < len(summaries) <= 24 * POLL_S / PROGRESS_INTERVAL_S


def test_reason_of_a_waiting_job_is_in_its_status(world: World, alpha: System, agent: Agent) -> None:
    alpha.scheduler.holds_queue = True
    job_id = world.submit("alpha")
    agent.cycles(2)
    [job] = alpha.scheduler._jobs.values()
    job.tasks[None].status = SchedulerStatus(Life.QUEUED, reason="JobHeldUser")
    agent.cycles(12)

    assert world.job(job_id).state is JobState.READY
    assert status(world, job_id).note == "JobHeldUser"


def test_record_that_is_newer_than_the_summary_counts(world: World, alpha: System, agent: Agent) -> None:
    alpha.scheduler.holds_queue = True
    job_id = world.submit("alpha", array="1-3")
    agent.cycles(2)
    [job] = alpha.scheduler._jobs.values()
    for task in job.tasks.values():
        task.status = SchedulerStatus(Life.QUEUED, reason="JobHeldUser")
    agent.cycles(12)
    assert status(world, job_id).note == "JobHeldUser"
    jobs = BucketJobRepository(world.store, world.ids)
    tasks = TaskStates.of({1: TaskState(JobState.DONE, 0), 2: TaskState(JobState.RUN)})
    jobs.replace(jobs.load(job_id), evolve(world.job(job_id).running(world.clock.now()), tasks=tasks))

    newer = status(world, job_id)

    assert (newer.note, newer.progress, newer.behind_s) == ("", "1/2", None)


def test_status_of_a_job_without_a_holder_has_the_note_of_the_system_asked(
    world: World, agent: Agent
) -> None:
    first = world.submit("alpha")
    second = world.submit("alpha", hold_jid=(first,))
    agent.cycles(3)

    assert first in status(world, second).note


def test_status_of_an_ended_job_is_one_request(world: World, agent: Agent) -> None:
    job_id = world.submit("alpha")
    agent.until_final(job_id)
    world.store = store = CountingStore(world.store)

    assert status(world, job_id) == JobStatus(world.job(job_id))
    assert store.counts == {"GET": 2}  # one by this test


def test_status_warns_of_an_agent_that_does_not_report(world: World, agent: Agent) -> None:
    job_id = world.submit("alpha")
    agent.cycles(2)
    world.clock.pass_by(3600)

    assert status(world, job_id).warnings == (
        "The agent of alpha has not reported for 60 min: the states shown for its jobs may be outdated.",
    )


# With a question ---------------------------------------------------------------------------------


def test_agent_asks_its_scheduler_at_once_and_writes_the_record(
    world: World, alpha: System, agent: Agent
) -> None:
    works_while_clients_wait(world, agent)
    job_id = half_done(world, agent)
    queries, before = alpha.scheduler.queries, world.clock.elapsed()

    fresh = status(world, job_id, fresh=True)

    assert fresh.job.tasks.progress == "2/3, 1 failed"
    assert (fresh.behind_s, fresh.warnings) == (None, ())
    assert alpha.scheduler.queries == queries + 1
    assert world.clock.elapsed() - before < ANSWER_WITHIN_S
    assert not world.stored("queue/alpha/" + job_id + ".1.refresh")


def test_one_question_for_each_system_makes_a_list_fresh(world: World, agent: Agent) -> None:
    works_while_clients_wait(world, agent)
    world.submit("alpha", array="1-3")
    world.submit("alpha", array="1-3")
    agent.cycles(2)
    world.clock.pass_by(SECONDS[2] + 1)
    world.store = store = CountingStore(world.store)

    active = Client(world.client()).jobs(fresh=True)

    assert [line.progress for line in active.jobs] == ["2/3, 1 failed"] * 2
    assert active.warnings == ()
    assert len([key for kind, key in store.requests if kind == "PUT" and key.endswith(".refresh")]) == 1


def test_agent_that_does_not_answer_is_named_and_its_request_withdrawn(world: World, agent: Agent) -> None:
    job_id = half_done(world, agent)

    fresh = status(world, job_id, fresh=True)

    assert fresh.warnings == (
        "The agent of alpha did not answer in time: the states are those that it last reported.",
    )
    assert fresh.behind_s is not None
    assert not world.stored(f"queue/alpha/{job_id}.1.refresh")


def test_scheduler_that_does_not_answer_is_asked_once_and_leaves_the_request(
    world: World, alpha: System, agent: Agent
) -> None:
    job_id = half_done(world, agent)
    queue = BucketJobQueue(world.store, world.ids)
    queue.request_refresh("alpha", world.job(job_id).tag)
    queue.ring("alpha")
    alpha.scheduler.unavailable = True
    queries = alpha.scheduler.queries

    agent.cycles(5)
    assert alpha.scheduler.queries == queries + 1
    assert queue.is_refresh_requested("alpha", world.job(job_id).tag)

    alpha.scheduler.unavailable = False
    agent.cycles(12)
    assert not queue.is_refresh_requested("alpha", world.job(job_id).tag)


@pytest.mark.parametrize("is_held", [True, False])
def test_request_for_a_job_outside_the_scheduler_is_deleted_at_once(
    world: World, alpha: System, agent: Agent, is_held: bool
) -> None:
    first = world.submit("alpha")
    job_id = world.submit("alpha", hold_jid=(first,)) if is_held else "3f7e7681"
    agent.cycles(2)
    world.store.put(keys.refresh_request("alpha", world.job(first).tag).replace(first, job_id), b"")
    BucketJobQueue(world.store, world.ids).ring("alpha")
    queries = alpha.scheduler.queries

    agent.cycles(3)

    assert not world.stored(f"queue/alpha/{job_id}.1.refresh")
    assert alpha.scheduler.queries == queries
