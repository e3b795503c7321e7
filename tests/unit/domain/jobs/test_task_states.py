"""Arrays: the state of the job is derived from its tasks, and 10,000 of them take little space."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.jobs.job_state import FINAL_STATES, JobState
from cloudq.domain.jobs.task_states import (
    MAX_REASON_CHARS,
    MAX_REASONS,
    TaskGroup,
    TaskState,
    TaskStates,
    derive,
    ended_in,
    why_tasks_wait,
)
from cloudq.domain.scripts.array_range import ArrayRange

S = JobState
states = st.builds(TaskState, st.sampled_from(list(JobState)), st.none() | st.integers(0, 255))


def test_without_tasks_there_is_no_state() -> None:
    assert derive([]) is None


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([S.RUN, S.READY, S.ERROR], S.RUN),
        ([S.COMPLETING, S.ERROR], S.RUN),
        ([S.DELETING, S.DONE], S.RUN),
        ([S.READY, S.DONE], S.READY),
        ([S.INIT, S.ERROR], S.READY),
        ([S.DONE, S.ERROR, S.TIMEOUT, S.DELETED], S.ERROR),
        ([S.DONE, S.TIMEOUT, S.DELETED], S.TIMEOUT),
        ([S.DONE, S.DELETED], S.DELETED),
        ([S.DONE, S.DONE], S.DONE),
    ],
)
def test_running_comes_before_queued_before_the_worst_end(tasks: list[JobState], expected: JobState) -> None:
    derived = derive(TaskState(state) for state in tasks)

    assert derived is not None
    assert derived.state is expected


def test_an_array_gives_the_reason_that_all_its_waiting_tasks_give() -> None:
    held, ended = TaskState(S.READY, reason="held by its user"), TaskState(S.ERROR, 3, "a node failed")

    for tasks, reason in (([held, held, ended], held.reason), ([held, TaskState(S.READY)], "")):
        derived = derive(tasks)
        assert derived is not None
        assert derived.reason == reason


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([(S.READY, "Priority"), (S.READY, "Resources")], "tasks wait: Priority, Resources"),
        ([(S.RUN, ""), (S.READY, "JobArrayTaskLimit")], "tasks wait: JobArrayTaskLimit"),
        ([(S.READY, ""), (S.READY, "JobHeldUser"), (S.DONE, "")], "tasks wait: JobHeldUser"),
        ([(S.READY, reason) for reason in "abcde"], "tasks wait: a, b, c …"),
        ([(S.READY, "JobHeldUser"), (S.ERROR, "a node failed")], ""),
        ([(S.RUN, "suspended")], ""),
        ([(S.DONE, "")], ""),
    ],
)
def test_reasons_of_waiting_tasks_are_named_unless_the_job_gives_the_same(
    tasks: list[tuple[JobState, str]], words: str
) -> None:
    assert why_tasks_wait(TaskState(state, reason=reason) for state, reason in tasks) == words


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ({}, "0/10"),
        ({1: (S.DONE, 0), 2: (S.DONE, 0)}, "2/10"),
        ({1: (S.DONE, 0), 2: (S.ERROR, 1), 3: (S.TIMEOUT, None), 4: (S.DELETED, None)}, "4/10, 3 failed"),
    ],
)
def test_progress_counts_tasks_that_ended_and_those_that_failed(
    ends: dict[int, tuple[JobState, int | None]], words: str
) -> None:
    tasks = dict.fromkeys(range(1, 11), TaskState(S.RUN)) | {n: TaskState(*end) for n, end in ends.items()}

    assert TaskStates.of(tasks).progress == words


@pytest.mark.parametrize(
    ("text", "ended"),
    [("3/10, 1 failed", 3), ("0/10", 0), ("", 0), ("x/10", 0), ("-1/10", 0), ("9" * 5_000, 0)],
)
def test_number_of_ended_tasks_is_read_from_any_text(text: str, ended: int) -> None:
    assert ended_in(text) == ended


@given(st.lists(states, min_size=1))
def test_an_array_is_done_only_if_every_task_is(tasks: list[TaskState]) -> None:
    derived = derive(tasks)

    assert derived is not None
    assert (derived.state is S.DONE) == all(task.state is S.DONE for task in tasks)


@given(st.lists(states, min_size=1))
def test_an_array_is_final_only_if_every_task_is(tasks: list[TaskState]) -> None:
    derived = derive(tasks)

    assert derived is not None
    assert derived.state.is_final == all(task.state in FINAL_STATES for task in tasks)


def test_the_exit_code_is_that_of_the_lowest_task_in_the_worst_state() -> None:
    tasks = {1: TaskState(S.DONE, 0), 4: TaskState(S.ERROR, 7), 2: TaskState(S.ERROR, 3)}

    assert derive(tasks[task] for task in sorted(tasks)) == TaskState(S.ERROR, 3)


def test_a_job_that_is_not_over_has_no_exit_code() -> None:
    assert derive([TaskState(S.RUN), TaskState(S.ERROR, 3)]) == TaskState(S.RUN)


@given(st.dictionaries(st.integers(1, 500), states, max_size=100))
def test_groups_hold_exactly_the_tasks_they_were_made_of(tasks: dict[int, TaskState]) -> None:
    grouped = TaskStates.of(tasks)

    assert grouped.as_dict() == tasks
    assert len(grouped.groups) == len(set(tasks.values()))


def test_tasks_that_failed_for_different_reasons_keep_them() -> None:
    tasks = {
        1: TaskState(S.ERROR, None, "out of memory"),
        2: TaskState(S.ERROR, 3, "exit code 3"),
        3: TaskState(S.ERROR, None, "a node failed"),
        4: TaskState(S.DELETED, 143, "canceled"),
        5: TaskState(S.READY, None, "Resources"),
    }
    grouped = TaskStates.of(tasks)

    assert [str(group) for group in grouped.groups] == [
        "task 1: ERROR: out of memory",
        "task 2: ERROR, exit code 3",
        "task 3: ERROR: a node failed",
        "task 4: DELETED, exit code 143",
        "task 5: READY",
    ]
    assert TaskStates.of(grouped.as_dict()) == grouped


def test_reasons_of_a_large_array_stay_bounded() -> None:
    tasks = {n: TaskState(S.ERROR, None, f"lost: {n} " + "x" * 1_000) for n in range(5_000)}
    reasons = [group.reason for group in TaskStates.of(tasks).groups]

    assert len(reasons) <= MAX_REASONS + 1
    assert sum(map(len, reasons)) <= MAX_REASONS * MAX_REASON_CHARS


def test_ten_thousand_tasks_in_two_states_are_two_groups() -> None:
    tasks = {n: TaskState(S.DONE, 0) for n in range(1, 10_001)} | {5_000: TaskState(S.ERROR, 1)}

    assert TaskStates.of(tasks).groups == (
        TaskGroup(ArrayRange.parse("1-4999,5001-10000"), S.DONE, 0),
        TaskGroup(ArrayRange.parse("5000"), S.ERROR, 1),
    )


def test_all_alike_forgets_how_many_may_run_at_once() -> None:
    alike = TaskStates.all_alike(ArrayRange.parse("1-3%2"), S.READY)

    assert alike == TaskStates.of(dict.fromkeys((1, 2, 3), TaskState(S.READY)))
