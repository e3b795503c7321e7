"""Outcomes from evidence. Most important: a job that was not successful is never called DONE.

The tables list every kind of evidence; the properties go through all combinations of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from cloudq.domain.jobs.job_shell import NOT_ITS_TURN
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import (
    GRACE_S,
    Evidence,
    ExitRecord,
    Life,
    SchedulerStatus,
    StartRecord,
    decide,
)
from cloudq.domain.jobs.task_states import TaskState

S = JobState
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
START = StartRecord("77", "node1", BEGAN)
LONG_GONE = GRACE_S
JUST_GONE = GRACE_S - 0.1


def left(code: int, signal: str = "") -> ExitRecord:
    return ExitRecord("77", code, signal, "node1", BEGAN)


def ended(verdict: JobState | None, code: int | None = None, reason: str = "") -> SchedulerStatus:
    return SchedulerStatus(Life.ENDED, verdict, code, reason)


def state_of(evidence: Evidence) -> JobState | None:
    end = decide(evidence)
    return None if end is None else end.state


# The job is alive in the scheduler -----------------------------------------------------------


@pytest.mark.parametrize(
    ("life", "state"), [(Life.QUEUED, S.READY), (Life.RUNNING, S.RUN), (Life.COMPLETING, S.RUN)]
)
@pytest.mark.parametrize("record", [None, left(0), left(99)])
@pytest.mark.parametrize("cancel_accepted", [False, True])
def test_while_the_scheduler_has_it_alive_no_record_ends_it(
    life: Life, state: JobState, record: ExitRecord | None, cancel_accepted: bool
) -> None:
    evidence = Evidence(START, record, SchedulerStatus(life), cancel_accepted, absent_s=LONG_GONE)

    assert state_of(evidence) is state


def test_every_life_but_the_end_has_a_state() -> None:
    for life in set(Life) - {Life.ENDED}:
        assert decide(Evidence(status=SchedulerStatus(life, reason="why"))) is not None


# Only a record -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [None, ended(None)])
@pytest.mark.parametrize("absent_s", [0.0, LONG_GONE])
@pytest.mark.parametrize(
    ("record", "cancel_accepted", "expected"),
    [
        (left(0), False, TaskState(S.DONE, 0)),
        (left(3), False, TaskState(S.ERROR, 3)),
        (left(143, "TERM"), False, TaskState(S.ERROR, 143)),
        (left(0, "USR1"), False, TaskState(S.DONE, 0)),
        (left(0), True, TaskState(S.DONE, 0)),
        (left(3), True, TaskState(S.ERROR, 3)),
        (left(255), True, TaskState(S.ERROR, 255)),
        (left(139), True, TaskState(S.ERROR, 139)),
        (left(143), True, TaskState(S.DELETED, 143)),
        (left(137), True, TaskState(S.DELETED, 137)),
        (left(7, "TERM"), True, TaskState(S.DELETED, 7)),
        (left(0, "TERM"), True, TaskState(S.DELETED, 0)),
    ],
)
def test_the_exit_record_decides_when_the_scheduler_has_no_word(
    record: ExitRecord,
    cancel_accepted: bool,
    expected: TaskState,
    status: SchedulerStatus | None,
    absent_s: float,
) -> None:
    assert decide(Evidence(START, record, status, cancel_accepted, absent_s)) == expected


# No record -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [None, ended(None), ended(S.DONE, 0)])
@pytest.mark.parametrize("start", [None, START])
@pytest.mark.parametrize("cancel_accepted", [False, True])
def test_within_the_grace_nothing_is_proven_by_silence(
    status: SchedulerStatus | None, start: StartRecord | None, cancel_accepted: bool
) -> None:
    assert decide(Evidence(start, None, status, cancel_accepted, JUST_GONE)) is None


@pytest.mark.parametrize("status", [None, ended(None), ended(None, 0)])
@pytest.mark.parametrize("start", [None, START])
def test_absence_alone_is_an_error_never_success(
    status: SchedulerStatus | None, start: StartRecord | None
) -> None:
    end = decide(Evidence(start, None, status, absent_s=LONG_GONE))

    assert end == TaskState(S.ERROR)
    assert end is not None
    assert end.reason.startswith("lost: ")


def test_a_lost_job_says_what_was_last_known_of_it() -> None:
    end = decide(Evidence(START, absent_s=130))

    assert end is not None
    assert end.reason == (
        "lost: started on node1, unknown to the scheduler for 130 s, and it left no exit record"
    )


@pytest.mark.parametrize("status", [None, ended(None)])
def test_an_accepted_cancel_explains_an_absence(status: SchedulerStatus | None) -> None:
    evidence = Evidence(START, None, status, cancel_accepted=True, absent_s=LONG_GONE)

    assert decide(evidence) == TaskState(S.DELETED)


@pytest.mark.parametrize(
    ("status", "cancel_accepted", "expected"),
    [
        (ended(S.ERROR, 3), False, TaskState(S.ERROR, 3)),
        (ended(S.ERROR, 3), True, TaskState(S.ERROR, 3)),
        (ended(S.ERROR, 137), False, TaskState(S.ERROR, 137)),
        (ended(S.ERROR, 137), True, TaskState(S.DELETED, 137)),
        (ended(S.ERROR), True, TaskState(S.DELETED)),
        (ended(S.ERROR, 0, "NODE_FAIL"), False, TaskState(S.ERROR)),
        (ended(S.TIMEOUT, 0), False, TaskState(S.TIMEOUT)),
        (ended(S.TIMEOUT), True, TaskState(S.TIMEOUT)),
        (ended(S.DELETED), False, TaskState(S.DELETED)),
        (ended(S.DONE, 3), False, TaskState(S.ERROR, 3)),
    ],
)
def test_a_schedulers_failure_counts_at_once_when_no_record_came(
    status: SchedulerStatus, cancel_accepted: bool, expected: TaskState
) -> None:
    assert decide(Evidence(START, None, status, cancel_accepted)) == expected


@pytest.mark.parametrize(
    ("start", "code", "expected"),
    [
        (START, 0, TaskState(S.DONE, 0)),
        (START, None, TaskState(S.DONE, 0)),
        (None, 0, TaskState(S.ERROR)),
    ],
)
def test_the_schedulers_success_counts_after_the_grace_for_a_script_that_started(
    start: StartRecord | None, code: int | None, expected: TaskState
) -> None:
    assert decide(Evidence(start, None, ended(S.DONE, code), absent_s=LONG_GONE)) == expected


# A record and the scheduler's answer ---------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "verdict", "cancel_accepted", "expected"),
    [
        (left(0), S.DONE, False, TaskState(S.DONE, 0)),
        (left(0), S.ERROR, False, TaskState(S.ERROR, 0)),
        (left(0), S.TIMEOUT, False, TaskState(S.TIMEOUT, 0)),
        (left(0), S.DELETED, False, TaskState(S.DONE, 0)),
        (left(3), S.DELETED, False, TaskState(S.ERROR, 3)),
        (left(3), S.DELETED, True, TaskState(S.ERROR, 3)),
        (left(3, "TERM"), S.DELETED, False, TaskState(S.DELETED, 3)),
        (left(0, "TERM"), S.DELETED, False, TaskState(S.DELETED, 0)),
        (left(0, "TERM"), S.DONE, False, TaskState(S.DONE, 0)),
        (left(0, "TERM"), S.DONE, True, TaskState(S.DELETED, 0)),
        (left(3), S.DONE, False, TaskState(S.ERROR, 3)),
        (left(3), S.ERROR, False, TaskState(S.ERROR, 3)),
        (left(3), S.ERROR, True, TaskState(S.ERROR, 3)),
        (left(143, "TERM"), S.TIMEOUT, False, TaskState(S.TIMEOUT, 143)),
        (left(143, "TERM"), S.TIMEOUT, True, TaskState(S.TIMEOUT, 143)),
        (left(143, "TERM"), S.DELETED, False, TaskState(S.DELETED, 143)),
        (left(143, "TERM"), S.ERROR, True, TaskState(S.DELETED, 143)),
        (left(143, "TERM"), S.ERROR, False, TaskState(S.ERROR, 143)),
    ],
)
def test_record_and_verdict_together_take_the_worse_of_both(
    record: ExitRecord, verdict: JobState, cancel_accepted: bool, expected: TaskState
) -> None:
    assert decide(Evidence(START, record, ended(verdict), cancel_accepted)) == expected


# Records that do not count -------------------------------------------------------------------

ANOTHERS = ExitRecord("78", 0, started=BEGAN)
FROM_THE_RUN_BEFORE = ExitRecord("77", 0, started=BEGAN - timedelta(seconds=1))
FROM_A_CLOCK_AHEAD = ExitRecord("77", 0, started=BEGAN + timedelta(seconds=1))


@pytest.mark.parametrize("record", [ANOTHERS, FROM_THE_RUN_BEFORE, FROM_A_CLOCK_AHEAD])
@pytest.mark.parametrize("status", [None, ended(None)])
def test_a_record_of_another_run_counts_as_none(record: ExitRecord, status: SchedulerStatus | None) -> None:
    assert decide(Evidence(START, record, status, absent_s=JUST_GONE)) is None
    assert state_of(Evidence(START, record, status, absent_s=LONG_GONE)) is S.ERROR


def test_a_record_counts_without_the_start_record() -> None:
    assert decide(Evidence(None, left(0))) == TaskState(S.DONE, 0)


def test_a_record_without_times_counts() -> None:
    assert decide(Evidence(StartRecord("77"), ExitRecord("77", 0))) == TaskState(S.DONE, 0)


# No account of a run -------------------------------------------------------------------------

NEVER_RAN = SchedulerStatus(Life.ENDED, S.DELETED, reason="deleted before it started", never_ran=True)


@pytest.mark.parametrize(
    ("start", "record", "cancel_accepted", "absent_s", "state"),
    [
        (None, None, False, JUST_GONE, None),
        (None, None, False, LONG_GONE, S.DELETED),
        (None, None, True, 0.0, S.DELETED),
        (START, None, False, JUST_GONE, None),
        (START, None, False, LONG_GONE, S.ERROR),
        (START, left(0), False, LONG_GONE, S.DONE),
        (START, left(3), False, LONG_GONE, S.ERROR),
        (None, left(0), False, 0.0, S.DONE),
    ],
)
def test_no_account_of_a_run_counts_only_where_nothing_of_a_run_is_seen(
    start: StartRecord | None,
    record: ExitRecord | None,
    cancel_accepted: bool,
    absent_s: float,
    state: JobState | None,
) -> None:
    assert state_of(Evidence(start, record, NEVER_RAN, cancel_accepted, absent_s)) is state


def test_no_account_of_a_run_proves_nothing_where_records_cannot_be_seen() -> None:
    for cancel_accepted in (False, True):
        evidence = Evidence(
            None, None, NEVER_RAN, cancel_accepted, absent_s=LONG_GONE, records_in_sight=False
        )
        assert decide(evidence) is None


# A submission that found the lock taken -------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "absent_s", "state"),
    [(None, JUST_GONE, None), (None, LONG_GONE, S.ERROR), (left(0), 0.0, S.DONE), (left(3), 0.0, S.ERROR)],
)
def test_the_end_of_a_submission_that_was_stopped_says_nothing_of_the_script(
    record: ExitRecord | None, absent_s: float, state: JobState | None
) -> None:
    stopped = ended(S.ERROR, NOT_ITS_TURN)

    assert state_of(Evidence(START, record, stopped, absent_s=absent_s)) is state


# Records out of sight ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [None, ended(None), ended(None, 0), ended(S.ERROR, NOT_ITS_TURN)])
def test_where_records_cannot_be_seen_no_silence_ends_a_job(status: SchedulerStatus | None) -> None:
    evidence = Evidence(None, None, status, absent_s=10 * GRACE_S, records_in_sight=False)

    assert decide(evidence) is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (SchedulerStatus(Life.RUNNING), TaskState(S.RUN)),
        (ended(S.DONE, 0), TaskState(S.DONE, 0)),
        (ended(S.DONE), TaskState(S.DONE, 0)),
        (ended(S.DONE, 3), TaskState(S.ERROR, 3)),
        (ended(S.ERROR, 3), TaskState(S.ERROR, 3)),
        (ended(S.TIMEOUT, 0), TaskState(S.TIMEOUT)),
        (ended(S.DELETED), TaskState(S.DELETED)),
    ],
)
def test_where_records_cannot_be_seen_the_schedulers_word_is_all_there_is(
    status: SchedulerStatus, expected: TaskState
) -> None:
    assert decide(Evidence(status=status, records_in_sight=False)) == expected


# All combinations ----------------------------------------------------------------------------

ALL_EVIDENCE = [
    Evidence(start, record, status, cancel_accepted, absent_s)
    for start, record, status, cancel_accepted, absent_s in product(
        [None, START],
        [
            None,
            ANOTHERS,
            FROM_THE_RUN_BEFORE,
            *(left(code, signal) for code in (0, 1, 139, 143, 255) for signal in ("", "TERM", "USR1")),
        ],
        [
            None,
            *(SchedulerStatus(life) for life in (Life.QUEUED, Life.RUNNING, Life.COMPLETING)),
            *(
                ended(verdict, code)
                for verdict in (None, S.DONE, S.ERROR, S.TIMEOUT, S.DELETED)
                for code in (None, 0, 3, 137)
            ),
            NEVER_RAN,
        ],
        [False, True],
        [0.0, JUST_GONE, LONG_GONE],
    )
]


def test_done_always_has_exit_code_0_and_nothing_else_says_otherwise() -> None:
    for evidence in ALL_EVIDENCE:
        end, status = decide(evidence), evidence.status
        if end is None or end.state is not S.DONE:
            continue

        assert end.exit_code == 0
        assert status is None or status.life is Life.ENDED
        assert status is None or status.verdict not in {S.ERROR, S.TIMEOUT}
        if evidence.exit is None or evidence.exit in (ANOTHERS, FROM_THE_RUN_BEFORE):
            by_word = evidence.start is not None and status is not None and status.verdict is S.DONE
            assert evidence.start is None or (by_word and evidence.absent_s >= evidence.grace_s)
        else:
            assert evidence.exit.exit_code == 0


def test_without_a_record_or_the_schedulers_word_nothing_is_done() -> None:
    for evidence in ALL_EVIDENCE:
        if evidence.exit is None and (evidence.status is None or evidence.status.verdict is not S.DONE):
            assert state_of(evidence) is not S.DONE


def test_deleted_takes_a_cancel_or_the_schedulers_word() -> None:
    for evidence in ALL_EVIDENCE:
        if state_of(evidence) is S.DELETED:
            status = evidence.status
            assert evidence.cancel_accepted or (status is not None and status.verdict is S.DELETED)


def test_timeout_takes_the_schedulers_word() -> None:
    for evidence in ALL_EVIDENCE:
        if state_of(evidence) is S.TIMEOUT:
            assert evidence.status is not None
            assert evidence.status.verdict is S.TIMEOUT


def test_once_the_grace_is_over_every_job_that_is_not_alive_ends() -> None:
    for evidence in ALL_EVIDENCE:
        if evidence.absent_s >= evidence.grace_s:
            end = decide(evidence)
            alive = evidence.status is not None and evidence.status.life is not Life.ENDED

            assert end is not None
            assert end.state.is_final is not alive


def test_every_end_but_done_says_why() -> None:
    for evidence in ALL_EVIDENCE:
        end = decide(evidence)
        if end is not None and end.state.is_final and end.state is not S.DONE:
            assert end.reason


@pytest.mark.parametrize("state", [state for state in JobState if not state.is_final])
def test_a_verdict_is_an_end(state: JobState) -> None:
    with pytest.raises(ValueError, match="no verdict"):
        ended(state)


def test_why_the_scheduler_ended_a_job_is_told_beside_how_its_script_ended() -> None:
    failed = Evidence(exit=left(143, "TERM"), status=ended(JobState.ERROR, reason="a node failed"))

    assert decide(failed) == TaskState(JobState.ERROR, 143)
    assert (decide(failed) or TaskState(JobState.DONE)).reason.startswith("a node failed; exit code 143")


def test_exit_code_that_the_scheduler_repeats_is_given_once() -> None:
    failed = Evidence(exit=left(64), status=ended(JobState.ERROR, reason="exit code 64"))

    assert (decide(failed) or TaskState(JobState.DONE)).reason == "exit code 64"
