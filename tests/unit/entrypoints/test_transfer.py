"""The progress of a transfer: on a terminal only, in bytes, and in color only if the user wants colors."""

from __future__ import annotations

import io

import pytest

from cloudq.entrypoints.shared.transfer import shown_transfer
from tests.parts.terminal import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with shown_transfer("Job (3f7e7681)") as transfer:
        transfer.show(20_000_000, 25_000_000)
    return stream.getvalue()


def test_a_terminal_shows_the_bytes_so_far_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = shown(Terminal(), monkeypatch)

    assert "Job (3f7e7681)" in screen
    assert "20.0/25.0 MB" in screen


def test_a_user_who_wants_no_colors_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen = shown(Terminal(), monkeypatch)

    assert "20.0/25.0 MB" in screen
    assert "\x1b[3" not in screen


def test_a_pipe_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(io.StringIO(), monkeypatch) == ""


def test_a_message_stands_on_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with shown_transfer("Job (3f7e7681)") as transfer:
        transfer.warn("before any byte")
        transfer.show(1, 2)
        transfer.warn("in the middle")
        transfer.show(2, 2)
    text = screen.getvalue()

    assert text.startswith("before any byte\n")
    assert "\x1b[1A\x1b[2Kin the middle\n" in text
    assert Screen().after(text) == ["before any byte", "in the middle"]
