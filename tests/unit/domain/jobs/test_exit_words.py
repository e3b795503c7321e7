"""The meaning of exit codes."""

from __future__ import annotations

import pytest

from cloudq.domain.jobs.exit_words import exit_in_words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "success"),
        (1, "exit code 1"),
        (126, "a command could not be executed"),
        (127, "a command was not found"),
        (137, "out of memory or killed (SIGKILL)"),
        (139, "segmentation fault (SIGSEGV)"),
        (143, "asked to end (SIGTERM)"),
        (200, "exit code 200"),
        (-9, "exit code -9"),
    ],
)
def test_an_exit_code_has_the_meaning_that_a_shell_gives_it(code: int, words: str) -> None:
    assert exit_in_words(code) == words
