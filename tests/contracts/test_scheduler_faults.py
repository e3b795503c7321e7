"""Test faults that no real scheduler has on demand: commands that fail, hang, print garbage or are late."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.adapters.process import is_gone, parse_identity
from cloudq.domain.errors import SchedulerUnavailable, SubmitDeferred, SubmitRefused, SubmitUncertain
from cloudq.domain.jobs.outcome import Life
from cloudq.domain.names import ClaimTag
from tests.parts.fault_kinds import GARBAGE, KINDS, FaultRig, Kind
from tests.parts.site import wait_until


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultRig]:
    rig = FaultRig(KINDS[request.param], tmp_path)
    yield rig
    rig.fake.end_everything()


# Asking ------------------------------------------------------------------------------------------


def test_a_queue_that_cannot_be_read_answers_nothing(rig: FaultRig) -> None:
    scheduler_job_id = rig.running()
    for faults in rig.kind.unreadable:
        for ask in (
            lambda: rig.scheduler.poll([scheduler_job_id]),
            lambda: rig.scheduler.find(ClaimTag("ffffffff", 1)),
        ):
            rig.fake.next_fails(rig.kind.query, *faults)
            with pytest.raises(SchedulerUnavailable, match=rig.kind.query):
                ask()

        assert rig.status(scheduler_job_id).life is Life.RUNNING


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_missing_command_is_no_answer(kind: Kind, tmp_path: Path) -> None:
    scheduler = kind.scheduler({"PATH": str(tmp_path)}, print)

    with pytest.raises(SchedulerUnavailable, match="cannot be run"):
        scheduler.poll([kind.first_id])


def test_commands_that_take_what_is_needed_have_no_flaw(rig: FaultRig) -> None:
    assert rig.scheduler.unfit_commands() == ()
    assert rig.fake.calls(rig.kind.submit) == 0


def test_a_command_that_does_not_know_an_option_is_named_with_its_words(rig: FaultRig) -> None:
    words = f"{rig.kind.query}: unrecognized option '--of-newer-versions'"
    rig.fake.goes_away({"do": "fail", "words": words}, rig.kind.query)

    flaws = rig.scheduler.unfit_commands()

    assert flaws
    assert all(words in flaw and "or newer" in flaw for flaw in flaws)


def test_a_scheduler_that_is_away_says_nothing_of_its_commands(rig: FaultRig) -> None:
    rig.fake.goes_away(rig.kind.down)

    with pytest.raises(SchedulerUnavailable):
        rig.scheduler.unfit_commands()


def test_an_unknown_state_keeps_what_was_known_and_warns_once(rig: FaultRig) -> None:
    scheduler_job_id, strange = rig.running(), rig.kind.strange_state
    rig.fake.set(strange_state=strange)

    assert [rig.status(scheduler_job_id).life for _ in range(3)] == [Life.RUNNING] * 3
    assert [words.rpartition(" ")[2] for words in rig.warned] == [strange]
    assert rig.another().poll([scheduler_job_id])[scheduler_job_id].tasks[None].life is Life.QUEUED


def test_a_pending_array_shows_all_its_tasks(rig: FaultRig) -> None:
    rig.fake.set(holds=True)
    scheduler_job_id = rig.submit(rig.space("exit 0"), array="1-7:2%2")

    tasks = rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks

    assert {task: status.life for task, status in tasks.items()} == dict.fromkeys((1, 3, 5, 7), Life.QUEUED)


# Submitting --------------------------------------------------------------------------------------


def test_a_submission_that_hangs_and_then_succeeds_is_found_by_its_files_and_by_its_tag(
    rig: FaultRig,
) -> None:
    space = rig.space()
    rig.fake.next_fails(rig.kind.submit, {"do": "late", "seconds": 2})
    with pytest.raises(SubmitUncertain, match="no answer within"):
        rig.submit(space)

    (attempt,) = space.attempts()
    assert not rig.workspace.is_process_gone(attempt.process)
    successor, first_id = rig.another(), rig.kind.first_id
    assert successor.submitted(space.attempt_files(1)) is None
    assert successor.find(space.tag) == ()
    wait_until(lambda: successor.submitted(space.attempt_files(1)) == first_id)
    wait_until(lambda: rig.workspace.is_process_gone(attempt.process))
    assert successor.find(space.tag) == (first_id,)


def test_a_submission_that_hangs_is_ended_though_nobody_waits_for_it(rig: FaultRig) -> None:
    space = rig.space()
    rig.fake.next_fails(rig.kind.submit, {"do": "hang", "seconds": 60})
    with pytest.raises(SubmitUncertain):
        rig.submit(space)

    (attempt,) = space.attempts()
    process = parse_identity(attempt.process)
    assert process is not None
    wait_until(lambda: is_gone(process))
    with pytest.raises(SubmitUncertain, match="in time"):
        rig.another().submitted(space.attempt_files(1))


@pytest.mark.parametrize("answer", ["answer lost", "fail"])
def test_a_submission_without_an_answer_may_have_happened(rig: FaultRig, answer: str) -> None:
    space, words = rig.space(), rig.kind.unanswered
    rig.fake.next_fails(rig.kind.submit, {"do": answer, "words": words})

    with pytest.raises(SubmitUncertain) as told:
        rig.submit(space)

    assert words in str(told.value)
    assert rig.scheduler.find(space.tag) == ((rig.kind.first_id,) if answer == "answer lost" else ())


def test_garbage_is_no_job_id(rig: FaultRig) -> None:
    rig.fake.next_fails(rig.kind.submit, GARBAGE)

    with pytest.raises(SubmitUncertain, match="no job id"):
        rig.submit(rig.space())


def test_a_limit_of_the_moment_is_told_from_a_refusal(rig: FaultRig) -> None:
    words = (rig.kind.limit, rig.kind.refusal)
    rig.fake.next_fails(rig.kind.submit, *({"do": "fail", "words": each} for each in words))

    with pytest.raises(SubmitDeferred) as deferred:
        rig.submit(rig.space())
    with pytest.raises(SubmitRefused) as refused:
        rig.submit(rig.space())

    assert (words[0] in str(deferred.value), words[1] in str(refused.value)) == (True, True)


# Canceling ---------------------------------------------------------------------------------------


def test_a_cancel_that_was_not_accepted_is_told(rig: FaultRig) -> None:
    scheduler_job_id = rig.running()
    rig.fake.next_fails(rig.kind.cancel, rig.kind.down)
    with pytest.raises(SchedulerUnavailable, match=rig.kind.cancel):
        rig.scheduler.cancel([scheduler_job_id])

    rig.scheduler.cancel([scheduler_job_id, "999", "rubbish", "-u"])

    rig.fake.wait_until(lambda jobs: rig.kind.is_over(jobs, scheduler_job_id))
    assert rig.fake.calls(rig.kind.cancel, "rubbish") == 0
