"""Test the ledger: the starts that a workspace records outside the directories of the jobs (protocol 4.8)."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.ledger import MONTHS_KEPT
from cloudq.domain.errors import WorkspaceProblem
from cloudq.domain.names import ClaimTag
from cloudq.testing.fake_clock import NOON, FakeClock
from tests.parts.serial_ids import SerialIds

TAG = ClaimTag("3f7e7681", 1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def workspace(tmp_path: Path, clock: FakeClock) -> DirectoryWorkspace:
    return DirectoryWorkspace(tmp_path / "home", clock, SerialIds())


def file_of(workspace: DirectoryWorkspace) -> Path:
    [path] = (workspace.root / "ledger").glob("*/*")
    return path


def test_a_start_is_remembered_with_its_first_time(workspace: DirectoryWorkspace, clock: FakeClock) -> None:
    workspace.note_start(TAG, "nonce")
    clock.pass_by(60)
    workspace.note_start(TAG, "nonce")

    assert workspace.started_at(TAG, "nonce") == NOON


@pytest.mark.parametrize(
    ("tag", "submission"),
    [
        (ClaimTag("3f7e7681", 2), "nonce"),
        (ClaimTag("3f7e7682", 1), "nonce"),
        (TAG, "nonc"),
        (TAG, "nonce2"),
    ],
)
def test_another_claim_or_submission_was_not_started(
    workspace: DirectoryWorkspace, tag: ClaimTag, submission: str
) -> None:
    workspace.note_start(TAG, "nonce")

    assert workspace.started_at(tag, submission) is None


def test_nothing_was_started_before_anything_was_noted(workspace: DirectoryWorkspace) -> None:
    assert workspace.started_at(TAG, "nonce") is None


def test_a_start_is_remembered_for_a_year_and_not_for_ever(
    workspace: DirectoryWorkspace, clock: FakeClock
) -> None:
    workspace.note_start(TAG, "nonce")
    for month in range(1, MONTHS_KEPT):
        clock.seconds = timedelta(days=30.5 * month).total_seconds()
        workspace.note_start(ClaimTag("00000000", month), "other")
        assert workspace.started_at(TAG, "nonce") == NOON

    clock.pass_by(timedelta(days=62).total_seconds())
    workspace.note_start(ClaimTag("00000000", 99), "other")

    assert workspace.started_at(TAG, "nonce") is None
    assert len(list((workspace.root / "ledger").iterdir())) == MONTHS_KEPT


def test_a_line_that_a_power_cut_left_half_written_hides_no_other(workspace: DirectoryWorkspace) -> None:
    workspace.note_start(TAG, "first")
    with file_of(workspace).open("ab") as file:
        file.write(b"3f7e7681.1 second 2026-01-")
    workspace.note_start(TAG, "third")

    assert workspace.started_at(TAG, "first") == NOON
    assert workspace.started_at(TAG, "third") == NOON
    assert workspace.started_at(TAG, "second") is None


@pytest.mark.parametrize("kind", ["directory", "link", "fifo"])
def test_a_ledger_that_cannot_be_read_is_no_answer(workspace: DirectoryWorkspace, kind: str) -> None:
    workspace.note_start(TAG, "nonce")
    path = file_of(workspace)
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/dev/null")
    else:
        os.mkfifo(path)

    with pytest.raises(WorkspaceProblem):
        workspace.started_at(TAG, "nonce")
    with pytest.raises(WorkspaceProblem):
        workspace.note_start(TAG, "other")


def test_nobody_else_can_read_it(workspace: DirectoryWorkspace) -> None:
    workspace.note_start(TAG, "nonce")

    path = file_of(workspace)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
