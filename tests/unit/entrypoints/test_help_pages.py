"""The help pages of all programs, and what they suggest for words that are no commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

import click
import pytest
from click.testing import CliRunner

from cloudq.entrypoints.cloudqaws import help_texts as aws_texts
from cloudq.entrypoints.cloudqaws import main as cloudqaws
from cloudq.entrypoints.cloudqcli import help_texts as client_texts
from cloudq.entrypoints.cloudqcli import main as cloudqcli
from cloudq.entrypoints.cloudqd import EXAMPLES as AGENT_EXAMPLES
from cloudq.entrypoints.cloudqd import MEANT as AGENT_WORDS
from cloudq.entrypoints.cloudqd import main as cloudqd

PROGRAMS = {"cloudqcli": cloudqcli, "cloudqaws": cloudqaws, "cloudqd": cloudqd}


def names_of(program: click.Command) -> list[str]:
    return program.list_commands(click.Context(program)) if isinstance(program, click.Group) else []


PAGES = [(name, command) for name, program in PROGRAMS.items() for command in ("", *names_of(program))]


def command_of(program: str, name: str) -> click.Command:
    group = PROGRAMS[program]
    command = (
        group.get_command(click.Context(group), name) if isinstance(group, click.Group) and name else group
    )
    assert command is not None
    return command


def typed(program: str, *words: str) -> tuple[int, str, str]:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(PROGRAMS[program], words, prog_name=program)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(("program", "name"), PAGES)
def test_a_help_page(program: str, name: str, golden: Callable[[str, str], None]) -> None:
    """It fits into 80 columns, has examples, and ends with the options that every command has."""
    status, page, _ = typed(program, *filter(None, [name]), "--help")
    blocks = [line for line in page.splitlines() if line.endswith(":") and not line.startswith(" ")]

    assert status == 0
    assert max(map(len, page.splitlines())) <= 80
    assert blocks[-2:] == ["Examples:", "Common options:"]
    golden(f"help_{'_'.join(filter(None, [program, name]))}.txt", page)


EXAMPLES = {
    "cloudqcli": client_texts.EXAMPLES,
    "cloudqaws": aws_texts.EXAMPLES,
    "cloudqd": {"": AGENT_EXAMPLES},
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_has_examples(program: str) -> None:
    assert set(EXAMPLES[program]) == {"", *names_of(PROGRAMS[program])}


def examples() -> list[tuple[str, str]]:
    return [
        (program, line) for program, table in EXAMPLES.items() for lines in table.values() for line in lines
    ]


@pytest.mark.parametrize(("program", "example"), examples())
def test_every_example_can_be_typed(program: str, example: str) -> None:
    first, *words = shlex.split(example)
    command = command_of(program, words[0] if words and program != "cloudqd" else "")
    rest = words if program == "cloudqd" else words[1:]

    assert first == program
    command.make_context(program, rest)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("cloudqcli", "ls"), "list"),
        (("cloudqcli", "status", "3f7e7681"), "stat"),
        (("cloudqcli", "ps"), "list"),
        (("cloudqcli", "rm"), "delete"),
        (("cloudqcli", "rerun", "3f7e7681"), "submit --rerun"),
        (("cloudqcli", "histroy"), "history"),
        (("cloudqcli", "submitt"), "submit"),
        (("cloudqaws", "destroy"), "delete"),
        (("cloudqd", "start"), "--daemon --detach"),
        (("cloudqd", "stop"), "--stop"),
        (("cloudqd", "statsu"), "--status"),
    ],
)
def test_a_word_that_is_no_command_points_to_the_right_one(words: tuple[str, ...], meant: str) -> None:
    status, out, error = typed(*words)

    assert (status, out) == (2, "")
    assert f"{words[1]!r}. Did you mean '{meant}'?" in error


def test_a_word_that_resembles_nothing_gets_no_suggestion() -> None:
    assert typed("cloudqcli", "frobnicate")[2].endswith("No such command 'frobnicate'.\n")


@pytest.mark.parametrize(
    ("program", "words"),
    [("cloudqcli", client_texts.MEANT), ("cloudqaws", aws_texts.MEANT), ("cloudqd", AGENT_WORDS)],
)
def test_every_suggestion_exists_and_no_command_is_among_the_words(
    program: str, words: Mapping[str, str]
) -> None:
    names = names_of(PROGRAMS[program])

    assert words.keys().isdisjoint(names)
    for suggestion in words.values():
        name, *options = suggestion.split() if program != "cloudqd" else ["", *suggestion.split()]
        has = {opt for param in command_of(program, "").params for opt in param.opts} | {"--help"}
        if name in names:
            has |= {opt for param in command_of(program, name).params for opt in param.opts}
        assert name in {"", *names, "--help", "--version"}
        assert {option for option in options if option.startswith("--")} <= has
