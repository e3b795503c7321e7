"""Following jobs: changes are examined, and unchanged jobs cost next to nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.application.agent.follow_jobs import JUDGE_AGAIN_AFTER_S
from cloudq.application.agent.held_job import Followed
from cloudq.application.agent.note_silence import REPORT_AFTER_S
from cloudq.domain.errors import SchedulerUnavailable
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import GRACE_S
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import LocalJob
from cloudq.ports.workers import Lane
from tests.parts.held_up_workers import held_up
from tests.parts.scripted_scheduler import Script
from tests.parts.world import POLL_S, World


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the jobs whose records were read, in order."""
    seen: list[str] = []
    read = DirectoryClaimSpace.records

    def records(space: DirectoryClaimSpace, tasks: Sequence[int | None]) -> object:
        seen.append(space.tag.job_id)
        return read(space, tasks)

    monkeypatch.setattr(DirectoryClaimSpace, "records", records)
    return seen


def test_the_records_of_an_unchanged_job_are_not_read_again(world: World, looks: list[str]) -> None:
    agent = world.agent(world.system(behaviour=lambda *_: Script(duration_s=1000)))
    world.submit("alpha")
    agent.cycles(4)
    looks.clear()

    agent.cycles(8)

    assert looks == []


def test_an_unchanged_job_is_looked_at_again_after_a_while(world: World, looks: list[str]) -> None:
    agent = world.agent(world.system(behaviour=lambda *_: Script(duration_s=1000)))
    job_id = world.submit("alpha")
    agent.cycles(4)
    looks.clear()

    agent.cycles(2 * int(JUDGE_AGAIN_AFTER_S / POLL_S))

    assert looks == [job_id, job_id]


def test_only_the_job_that_changed_is_looked_at(world: World, looks: list[str]) -> None:
    alpha = world.system(behaviour=lambda *_: Script(duration_s=1000))
    agent = world.agent(alpha)
    first, second = world.submit("alpha"), world.submit("alpha")
    agent.cycles(4)
    looks.clear()

    agent.world.client().cancel(second)
    agent.cycles(3)

    assert world.job(second).state is JobState.DELETED
    assert first not in looks


def test_a_job_that_the_scheduler_does_not_show_is_looked_at_in_every_cycle(
    world: World, looks: list[str]
) -> None:
    alpha = world.system(behaviour=lambda *_: Script(5, dies_without_record=True), forget_after_s=0)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(6)
    looks.clear()

    agent.cycles(3)

    assert looks == [job_id] * 3
    agent.until_final(job_id)


# A scheduler that gives no answer ----------------------------------------------------------------


def test_a_query_that_failed_is_told_until_one_is_answered_and_not_asked_more_often(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(1000), poll_interval_s=60)
    agent = world.agent(alpha)
    world.submit("alpha")
    agent.cycles(4)

    alpha.scheduler.unavailable = True
    agent.cycles(12)
    asked = alpha.scheduler.queries
    agent.cycles(24)

    assert alpha.scheduler.queries == asked + 2
    assert "gave no answer" in agent.parts.lease.last_error
    alpha.scheduler.unavailable = False
    agent.cycles(13)
    assert agent.parts.lease.last_error == ""
    assert [event for kind, event, _ in world.log.told if kind == "warning"] == [
        "not everything could be done"
    ]
    assert world.log.told[-1][1] == "everything works again"


def notes(world: World) -> dict[str, str]:
    """Return the notes that owners of unfinished jobs see."""
    return {job.job_id: job.note for job in world.client().query.active().jobs}


def test_owners_learn_that_the_scheduler_has_been_silent_for_long(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(1000))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(4)

    alpha.scheduler.unavailable = True
    agent.cycles(int(REPORT_AFTER_S / POLL_S / 2))
    assert "no answer" not in notes(world)[job_id]
    agent.cycles(int(REPORT_AFTER_S / POLL_S))
    assert "the scheduler has not answered since" in notes(world)[job_id]

    alpha.scheduler.unavailable = False
    agent.cycles(4)
    assert "no answer" not in notes(world)[job_id]
    assert world.job(job_id).state is JobState.RUN


def test_an_end_record_alone_is_told_and_is_no_end(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(30, 3))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(4)

    alpha.scheduler.unavailable = True
    agent.cycles(12)
    alpha.scheduler.advance()
    agent.cycles(12 * int(REPORT_AFTER_S / POLL_S))
    assert "its exit record shows: exit code 3" in notes(world)[job_id]
    assert world.job(job_id).state is JobState.RUN

    alpha.scheduler.unavailable = False
    agent.until_final(job_id)
    assert (world.job(job_id).state, world.job(job_id).exit_code) == (JobState.ERROR, 3)


def test_nothing_is_left_to_tell_once_no_job_is_followed_any_more(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(1000))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(4)
    alpha.scheduler.unavailable = True
    agent.cycles(2)

    agent.parts.holdings.let_go(ClaimTag(job_id, 1))
    agent.cycles(1)

    assert agent.parts.lease.last_error == ""


def test_one_cycle_without_an_answer_of_the_scheduler_ends_with_its_error(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(1000))
    world.submit("alpha")
    world.agent(alpha, one_shot=True).parts.run.one_cycle()
    alpha.scheduler.unavailable = True

    with pytest.raises(SchedulerUnavailable, match="gave no answer"):
        world.agent(alpha, one_shot=True).parts.run.one_cycle()


def test_a_job_that_cannot_be_looked_up_keeps_its_state_and_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = world.system(behaviour=lambda *_: Script(duration_s=20))
    agent = world.agent(alpha)
    lost, other = world.submit("alpha"), world.submit("alpha")
    agent.cycles(4)
    held = agent.parts.holdings.held[ClaimTag(lost, 1)]
    (scheduler_job_id,) = held.scheduler_job_ids
    poll = alpha.scheduler.poll

    def cannot_look_up(scheduler_job_ids: Sequence[str]) -> Mapping[str, LocalJob]:
        shown = dict(poll(scheduler_job_ids))
        return shown | {scheduler_job_id: LocalJob({}, unanswered="no such server: pbs2")}

    with monkeypatch.context() as patch:
        patch.setattr(alpha.scheduler, "poll", cannot_look_up)
        agent.until_final(other)
        agent.cycles(int(GRACE_S / POLL_S) + 2)
        assert world.job(lost).state is JobState.RUN
        assert held.note == "no such server: pbs2"

    agent.until_final(lost)
    assert world.job(lost).state is JobState.DONE


def test_query_that_hangs_holds_up_no_submission(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(duration_s=1000), poll_interval_s=0.0)
    agent = world.agent(alpha)
    first = world.submit("alpha")
    agent.cycles(2)
    workers = held_up(agent, Lane.POLL)
    agent.cycle()

    second = world.submit("alpha")
    agent.cycles(3)

    assert len(workers.waiting) == 1
    assert [submission.tag.job_id for _, submission in alpha.scheduler.submissions] == [first, second]
    workers.get_on()
    agent.cycles(1)
    workers.get_on()
    agent.cycles(1)
    assert world.job(second).state is JobState.RUN


def test_answer_tells_nothing_of_jobs_that_were_handed_over_since(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(duration_s=1000), poll_interval_s=0.0)
    agent = world.agent(alpha)
    world.submit("alpha")
    agent.cycles(2)
    workers = held_up(agent, Lane.POLL)
    agent.cycle()
    workers.get_on()
    second = world.submit("alpha")

    agent.cycle()

    held = next(held for tag, held in agent.parts.holdings.held.items() if tag.job_id == second)
    assert held.is_handed_over
    assert held.require(Followed).judged is None
    assert held.space.first_miss() is None
