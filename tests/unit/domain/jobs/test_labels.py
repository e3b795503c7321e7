"""Labels: what may be one, and how many a job may have."""

from __future__ import annotations

import pytest

from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.labels import checked_labels


@pytest.mark.parametrize("label", ["a=", "run=7", "A.b_c-1=v/x:y@z+1.2-3_4", f"{'k' * 32}={'v' * 63}"])
def test_key_and_value_make_a_label(label: str) -> None:
    assert checked_labels([label]) == (label,)


@pytest.mark.parametrize(
    "label",
    [
        "", "a", "=b", "1a=b", "a b=c", "a=b c", "a=b=c", "a=b~c", "a=\n", "é=1", "a=é",
        "k" * 33 + "=", "a=" + "v" * 64,
    ],
)  # fmt: skip
def test_anything_else_is_refused(label: str) -> None:
    with pytest.raises(InvalidInput, match="label "):
        checked_labels([label])


def test_labels_are_sorted_by_key_and_counted_once() -> None:
    assert checked_labels(["b=1", "a=2", "b=1"]) == ("a=2", "b=1")


def test_a_key_has_one_value() -> None:
    with pytest.raises(InvalidInput, match="'a' has several values"):
        checked_labels(["a=1", "a=2"])


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InvalidInput) as error:
        checked_labels(["x", "y", *(f"k{n}=" for n in range(8))])
    assert len(error.value.problems) == 3


def test_all_labels_together_fit_into_a_key_of_the_history() -> None:
    with pytest.raises(InvalidInput, match="512 characters"):
        checked_labels([f"k{n}={'v' * 63}" for n in range(8)])
