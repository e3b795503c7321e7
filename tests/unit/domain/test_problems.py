"""The collector of problems: one error names everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudq.domain.errors import ConfigProblem, InvalidInput
from cloudq.domain.names import checked_job_id, checked_system
from cloudq.domain.problems import Problems


def test_one_error_has_all_problems_in_order() -> None:
    problems = Problems()
    problems.add("the first")
    system = problems.collect(checked_system, "No System")
    job_id = problems.collect(checked_job_id, "3f7e7681")
    problems.extend(["the third"])

    assert (system, job_id) == (None, "3f7e7681")
    with pytest.raises(InvalidInput) as caught:
        problems.raise_if_any()
    assert [text.split(" is ")[0] for text in caught.value.problems] == [
        "the first", "'No System'", "the third",
    ]  # fmt: skip


def test_nothing_is_raised_without_problems() -> None:
    problems = Problems()
    problems.raise_if_any()

    assert not problems
    assert list(problems) == []


def test_the_kind_of_error_is_the_caller_s() -> None:
    problems = Problems()
    problems.add("a bad file")

    with pytest.raises(ConfigProblem, match="a bad file"):
        problems.raise_if_any(ConfigProblem)


def test_problems_before_a_failure_are_kept() -> None:
    def texts() -> Iterator[str]:
        yield "before"
        raise ConnectionError

    problems = Problems()
    with pytest.raises(ConnectionError):
        problems.extend(texts())

    assert list(problems) == ["before"]
