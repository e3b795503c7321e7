"""Find every bug that is put in on purpose: a check that no longer works is noticed here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudq.adapters import filesystem
from cloudq.adapters.workspace import claim_space
from tests.simulation.mutants import MUTANTS, Mutant, find

NOT_SOON_ENOUGH = {
    "ended without blocking the lock",
    "second id under the tag not canceled",
}
"""Bugs that 5,000 lives meet too seldom: the command reports them, and no test waits for them."""
BUGS = [bug for bug in MUTANTS if bug.name not in NOT_SOON_ENOUGH]


@pytest.mark.timeout(900)  # 5,000 lives take one or two minutes, and longer on a busy machine
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_put_in_on_purpose_is_found(
    bug: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(filesystem, "sync_dir", lambda _: None)
    monkeypatch.setattr(claim_space, "sync_dir", lambda _: None)

    assert find(bug, tmp_path) is not None
