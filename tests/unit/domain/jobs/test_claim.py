"""Claims: the systems that may take a job next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cloudq.domain.jobs.claim import Claim, ClaimKind, entry_number, may_create_run_claim

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def claim(n: int, kind: ClaimKind, system: str = "", systems: tuple[str, ...] = ()) -> Claim:
    return Claim(n, kind, "nonce", NOW, system=system, systems=systems)


def test_the_words_on_the_wire_never_change() -> None:
    assert [kind.value for kind in ClaimKind] == ["run", "cancel", "release"]


def test_the_first_claim_is_open_to_whoever_was_invited() -> None:
    assert may_create_run_claim(1, None, "abci")


@pytest.mark.parametrize(
    ("n", "previous"),
    [
        (2, None),
        (2, claim(1, ClaimKind.RUN, "abci")),
        (2, claim(1, ClaimKind.CANCEL)),
        (3, claim(2, ClaimKind.RELEASE, systems=("other",))),
        (4, claim(2, ClaimKind.RELEASE, systems=("abci",))),
        (3, claim(3, ClaimKind.RELEASE, systems=("abci",))),
    ],
)
def test_a_later_claim_takes_a_release_right_before_that_names_the_system(
    n: int, previous: Claim | None
) -> None:
    assert not may_create_run_claim(n, previous, "abci")


def test_a_released_job_may_be_taken_by_a_system_that_the_release_names() -> None:
    assert may_create_run_claim(3, claim(2, ClaimKind.RELEASE, systems=("other", "abci")), "abci")


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (claim(1, ClaimKind.RUN, "abci"), True),
        (claim(1, ClaimKind.RUN, "other"), False),
        (claim(1, ClaimKind.CANCEL, "abci"), False),
        (claim(1, ClaimKind.RELEASE, "abci"), False),
    ],
)
def test_a_system_holds_a_job_only_by_its_own_run_claim(held: Claim, expected: bool) -> None:
    assert held.is_run_by("abci") is expected


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        (None, 1),
        (claim(1, ClaimKind.RUN, "abci"), 1),
        (claim(3, ClaimKind.RUN, "abci"), 3),
        (claim(1, ClaimKind.RUN, "other"), None),
        (claim(1, ClaimKind.CANCEL), None),
        (claim(2, ClaimKind.CANCEL, "abci"), None),
        (claim(2, ClaimKind.RELEASE, "abci", systems=("other",)), None),
        (claim(2, ClaimKind.RELEASE, "other", systems=("abci",)), 3),
    ],
)
def test_the_newest_claim_says_which_queue_entry_a_system_has(
    newest: Claim | None, expected: int | None
) -> None:
    assert entry_number(newest, "abci", ("other", "abci")) == expected


def test_a_system_that_was_not_invited_has_no_queue_entry() -> None:
    assert entry_number(None, "abci", ("other",)) is None
