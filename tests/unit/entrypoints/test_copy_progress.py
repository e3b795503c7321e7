"""The progress of `abci_cs_cp`: shown only on a terminal, and only now and then."""

from __future__ import annotations

import sys

import pytest

from cloudq.entrypoints.abci_cs_cp import SHOW_EVERY_S, Progress


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_told_every_few_seconds_to_a_terminal(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    times = [0.1, SHOW_EVERY_S, SHOW_EVERY_S + 0.1, 2 * SHOW_EVERY_S]
    progress = Progress(lambda: times[0])
    while times:
        progress.add(1, 1_500_000)
        del times[0]

    told = ["copied so far: 2 files, 3.0 MB", "copied so far: 4 files, 6.0 MB"]
    assert capsys.readouterr().err.splitlines() == (told if is_terminal else [])
