"""Errors: one root, an exit status each, and messages for all problems at once."""

from __future__ import annotations

import pytest

from cloudq.domain import errors
from cloudq.domain.errors import CloudqError, ConfigProblem, InvalidInput, JobNotFound, ObjectNotFound

ERRORS = [
    thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)
]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_one_root_and_ends_a_command_with_a_failure(error: type[CloudqError]) -> None:
    assert issubclass(error, CloudqError)
    assert 1 <= error.exit_code <= 125
    assert error.__doc__


@pytest.mark.parametrize("problems", ["one", ["one"], ["one", "two"]])
def test_bad_input_says_all_problems_a_line_each(problems: str | list[str]) -> None:
    error = ConfigProblem(problems)

    assert isinstance(error, InvalidInput)
    assert str(error).splitlines() == list(error.problems)


def test_errors_carry_what_they_are_about() -> None:
    assert (JobNotFound("3f7e7681").job_id, str(JobNotFound("3f7e7681"))) == (
        "3f7e7681",
        "Job (3f7e7681) does not exist.",
    )
    assert str(JobNotFound("3f7e7681", "gone")) == "gone"
    assert ObjectNotFound("a/b").key == "a/b"
