"""Progress on one line of a terminal."""

from __future__ import annotations

import io

import pytest

from cloudq.entrypoints.shared.terminal import PassingLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("text", ["store …", "x" * 300, "日本語" * 50, "\x1b[2J"])
def test_a_passing_line_never_wraps_and_leaves_nothing_behind(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    line = PassingLine()
    line.show(text)
    line.erase()
    parts = terminal.getvalue().split("\r")

    assert parts[0] == parts[-1] == ""
    assert parts[1] == parts[3] == " " * 78
    assert "\x1b" not in terminal.getvalue()
    assert "\n" not in terminal.getvalue()


def test_a_pipe_gets_no_passing_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stderr", pipe)
    PassingLine().show("store …")
    PassingLine().erase()

    assert pipe.getvalue() == ""
