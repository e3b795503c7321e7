"""A command in place of a jobscript."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.command import Command, on_one_line

words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)


def test_a_command_becomes_a_script_that_runs_it() -> None:
    command = Command(("/opt/bin/python", "train it.py", "--lr", "0.1"))
    script = command.script()

    assert command.name == "python"
    assert script.name == "command.sh"
    assert script.body == b"#!/bin/bash\nexec /opt/bin/python 'train it.py' --lr 0.1 \"$@\"\n"


@settings(max_examples=30)
@given(st.lists(words, max_size=5))
def test_every_word_reaches_the_command_as_it_is(arguments: list[str]) -> None:
    script = Command(("printf", "%s\\0", "first", *arguments)).script()
    shown = subprocess.run(["bash", "-c", script.body, "x", "last"], capture_output=True, check=True).stdout

    assert shown.decode().split("\0")[:-1] == ["first", *arguments, "last"]


@given(words)
def test_a_word_never_begins_a_line_of_its_own(word: str) -> None:
    assert "\n" not in on_one_line(word)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ((), "the command is empty"),
        (("",), "the command is empty"),
        (("LR=1", "python"), "'LR=1' is not a command: pass variables as the environment of the job"),
        (("python", "a\0"), "NUL character"),
        (("python", "\udcff"), "not valid UTF-8"),
    ],
)
def test_what_is_no_command_is_refused(command: tuple[str, ...], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        Command(command).script()
