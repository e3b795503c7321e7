"""Lists of jobs to wait for."""

from __future__ import annotations

import pytest

from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.dependency import parse_hold_jid


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", ()),
        ("  ", ()),
        ("3f7e7681", ("3f7e7681",)),
        ("3f7e7681,e210c27c", ("3f7e7681", "e210c27c")),
        (" e210c27c , 3f7e7681 ", ("e210c27c", "3f7e7681")),
        ("3f7e7681,3f7e7681", ("3f7e7681",)),
    ],
)
def test_ids_keep_their_order_and_count_once(text: str, ids: tuple[str, ...]) -> None:
    assert parse_hold_jid(text) == ids


def test_every_bad_id_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_hold_jid("3f7e7681,nope,,E210C27C")

    assert [problem.split()[1] for problem in caught.value.problems] == ["'nope'", "''", "'E210C27C'"]
