"""Every bug that is put in on purpose is found: a check that goes blind is noticed here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudq.adapters import filesystem
from cloudq.adapters.workspace import claim_space
from tests.simulation.mutants import MUTANTS, Mutant, find

NOT_YET = {"ended without blocking the lock": "not found within 2,000 lives from seed 0 on"}
BUGS = [
    pytest.param(bug, marks=pytest.mark.xfail(reason=NOT_YET[bug.name], strict=False))
    if bug.name in NOT_YET
    else bug
    for bug in MUTANTS
]


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in MUTANTS])
def test_a_bug_put_in_on_purpose_is_found(
    bug: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(filesystem, "sync_dir", lambda _: None)
    monkeypatch.setattr(claim_space, "sync_dir", lambda _: None)

    assert find(bug, tmp_path) is not None
