"""The jobs for which a job waits: how users name them, and which of them are no good."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cloudq.domain.jobs.dependency import Holds, job_ids
from cloudq.domain.jobs.job_state import JobState


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ("", ()),
        ("  ", ()),
        ("3f7e7681", ("3f7e7681",)),
        ("3f7e7681,e210c27c", ("3f7e7681", "e210c27c")),
        (" e210c27c , 3f7e7681 ", ("e210c27c", "3f7e7681")),
        ("3f7e7681,3f7e7681", ("3f7e7681",)),
        (",", ("",)),
        ([], ()),
        ([""], ()),
        (["3f7e7681", "e210c27c"], ("3f7e7681", "e210c27c")),
        (("3f7e7681,e210c27c", "3f7e7681", ""), ("3f7e7681", "e210c27c", "")),
    ],
)
def test_ids_keep_their_order_and_count_once(given: Sequence[str] | str, ids: tuple[str, ...]) -> None:
    assert job_ids(given) == ids


def test_every_bad_id_is_named_with_its_option() -> None:
    holds = Holds(job_ids("3f7e7681,nope,,E210C27C"), job_ids("3f7e76811"))

    assert [problem.split(" is ")[0] for problem in holds.bad_ids()] == [
        "hold_jid: 'nope'",
        "hold_jid: ''",
        "hold_jid: 'E210C27C'",
        "hold_ok_jid: '3f7e76811'",
    ]
    assert holds.usable() == Holds(("3f7e7681",))


def test_each_job_that_cannot_be_waited_for_is_named() -> None:
    """A job that failed is in the way only if it must be DONE."""
    states = {"0000000a": JobState.ERROR, "0000000b": JobState.DONE, "0000000c": JobState.RUN}
    holds = Holds(("0000000a", "0000000d"), ("0000000d", "0000000c", "0000000b", "0000000a"))

    assert list(holds.problems_in(states.get)) == [
        "hold_jid: job 0000000d does not exist",
        "hold_ok_jid: job 0000000d does not exist",
        "hold_ok_jid: job 0000000a ended as ERROR: this job would never run",
    ]


def test_all_ids_has_each_job_once() -> None:
    holds = Holds(("0000000a", "0000000b"), ("0000000b", "0000000c"))

    assert holds.all_ids == ("0000000a", "0000000b", "0000000c")
    assert holds.must_be_done == ("0000000b", "0000000c")
