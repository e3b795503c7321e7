"""Trials of a site's scheduler: the evidence for each final state, and proof that every check can fail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from cloudq.adapters.systems.reading import SCHEDULERS
from cloudq.domain.jobs.acceptance import NOT_ALLOWED, TRIALS, WORDS, Need, Trial, Verdict, judge
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.scripts.array_range import ArrayRange
from tests.builders import a_job

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BY_NAME = {trial.name: trial for trial in TRIALS}


def as_expected(trial: Trial) -> Job:
    """Return the job that the trial should result in."""
    job = evolve(a_job(), state=trial.state, exit_code=trial.exit_code, tasks=TaskStates())
    job = evolve(job, time_start=None if trial.never_starts else NOON)
    if trial.array:
        states = {task: TaskState(state) for task, state in trial.tasks.items()}
        job = evolve(job, array_tid=ArrayRange.parse(trial.array), tasks=TaskStates.of(states))
    return job


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_the_end_that_is_expected_is_ok(trial: Trial) -> None:
    assert judge(trial, as_expected(trial), trial.log) == (Verdict.OK, "")


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_any_other_state_fails(trial: Trial) -> None:
    others = {JobState.DONE, JobState.ERROR, JobState.TIMEOUT, JobState.DELETED} - {trial.state}
    verdicts = {judge(trial, evolve(as_expected(trial), state=state), trial.log)[0] for state in others}

    assert verdicts == {Verdict.FAILED}


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("exit code 3", {"exit_code": 181}, "unexpected final state"),
        ("exit code 0", {"state": JobState.ERROR, "error_msg": "lost"}, "lost"),
        ("killed by a signal", {"exit_code": None}, "unexpected final state"),
        ("cancelled while it is held", {"time_start": NOON}, "it started although it was held"),
        ("cancelled while it is held", {"exit_code": 129}, "never started"),
        ("array with a failing task", {"tasks": TaskStates()}, "its tasks: none"),
    ],
)
def test_every_check_can_fail(name: str, changes: dict[str, Any], words: str) -> None:
    verdict, remark = judge(BY_NAME[name], evolve(as_expected(BY_NAME[name]), **changes), BY_NAME[name].log)

    assert verdict is Verdict.FAILED
    assert words in remark


def test_output_that_is_missing_fails() -> None:
    verdict, remark = judge(BY_NAME["output"], as_expected(BY_NAME["output"]), "something else")

    assert (verdict, "something else" in remark) == (Verdict.FAILED, True)


def test_a_site_that_forbids_requeueing_is_no_failure() -> None:
    trial = BY_NAME["queued again by the scheduler"]
    job = evolve(as_expected(trial), state=JobState.ERROR, exit_code=NOT_ALLOWED)

    assert judge(trial, job, "")[0] is Verdict.SKIPPED


def test_every_scheduler_has_its_words() -> None:
    assert set(WORDS) == set(SCHEDULERS)
    assert not any(WORDS["slurm"].lacks(need) for need in Need)
    assert all(WORDS["local"].lacks(need) for need in Need)
