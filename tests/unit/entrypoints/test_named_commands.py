"""Every command and option that a message, a help text, a shipped file or a page names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from cloudq.entrypoints.cloudqaws import main as cloudqaws
from cloudq.entrypoints.cloudqcli import main as cloudqcli
from cloudq.entrypoints.cloudqd import main as cloudqd

ROOT = Path(__file__).parents[3]
PROGRAMS: dict[str, click.Command] = {"cloudqcli": cloudqcli, "cloudqd": cloudqd, "cloudqaws": cloudqaws}
NAMES = r"cloudqcli|cloudqd|cloudqaws"
CALL = re.compile(rf"(?<![\w./@-])({NAMES})((?: +(?!(?:{NAMES})\b)[^\s`'\"|;&()]+)+)")
OPTION = re.compile(r"(?<![\w-])--[a-z]+(?:[_-][a-z]+)*")
NOT_NAMES = {"and"}
"""Words of prose that follow the name of a program in a text for users."""
OF_OTHERS = {"--user", "--help"}
"""Options of other programs (systemctl), and the one that every command has."""


@cache
def options_of(command: click.Command) -> set[str]:
    """Return the spellings of all options of a command."""
    return {opt for each in command.params for opt in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}


@cache
def commands_of(program: click.Command) -> dict[str, click.Command]:
    """Return the subcommands of a program by name."""
    if not isinstance(program, click.Group):
        return {}
    context = click.Context(program)
    found = {name: program.get_command(context, name) for name in program.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def mistakes_in(text: str) -> Iterator[str]:
    """Yield each call in *text* that names a command or an option that does not exist."""
    for program, rest in CALL.findall(text):
        command, words = PROGRAMS[program], iter(rest.split())
        for word in words:
            if word == "--":  # what follows is a command of the user, or arguments for a script
                break
            name = word.rstrip(".,:")
            if name in commands_of(command):
                command = commands_of(command)[name]
            elif re.fullmatch(r"[a-z][a-z_-]*", name) and isinstance(command, click.Group):
                if name not in NOT_NAMES:
                    yield f"{program} {name}"
                break
            elif name.startswith("--") and name.partition("=")[0].strip("[]…") not in options_of(command):
                yield f"{program}{rest}: {name}"
            if word != name:  # the end of a sentence, or of an item
                break


@cache
def known_options() -> set[str]:
    """Return the options of all commands."""
    commands = [each for program in PROGRAMS.values() for each in (program, *commands_of(program).values())]
    return {option for command in commands for option in options_of(command)}


def texts_of(source: Path) -> Iterator[str]:
    """Yield the texts in a module: strings, with f-strings as one text, and code in docstrings."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)
    }
    parts = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in map(id, node.values)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            if node.value in docstrings:
                yield from re.findall(r"``([^`]+)``", node.value)
            else:
                yield node.value


def code_of(page: Path) -> Iterator[str]:
    """Yield the code on a page: code spans, and the lines of blocks that begin with a command."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for block in re.findall(r"^```(?!text)\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if re.match(r"\s*(?:\$ )?(?:cloudqcli|cloudqd|cloudqaws) ", line):
                yield re.sub(r"'[^']*'", "X", line.removeprefix("$ ")).partition("#")[0]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose))


SOURCES = sorted((ROOT / "cloudq").rglob("*.py"))
SHIPPED = [path for kind in ("yaml", "toml", "sh", "bash") for path in (ROOT / "cloudq").rglob(f"*.{kind}")]
PAGES = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "examples").glob("*.md")]


def test_commands_that_a_module_names_exist() -> None:
    mistakes = {
        (source.relative_to(ROOT).as_posix(), mistake)
        for source in SOURCES
        for text in texts_of(source)
        for mistake in mistakes_in(text)
    }

    assert mistakes == set()


def test_options_that_a_message_names_exist() -> None:
    named = {
        (source.relative_to(ROOT).as_posix(), option)
        for source in (ROOT / "cloudq/entrypoints").rglob("*.py")
        for text in texts_of(source)
        for option in OPTION.findall(text)
    }

    assert {(file, option) for file, option in named if option not in known_options() | OF_OTHERS} == set()


def test_commands_that_a_shipped_file_quotes_exist() -> None:
    mistakes = {
        (file.name, mistake)
        for file in SHIPPED
        for text in re.findall(rf"[`']((?:{NAMES}) [^`']*)[`']", file.read_text(encoding="utf-8"))
        for mistake in mistakes_in(text)
    }

    assert mistakes == set()


def test_commands_that_a_page_shows_exist() -> None:
    mistakes = {
        (page.name, mistake) for page in PAGES for text in code_of(page) for mistake in mistakes_in(text)
    }

    assert mistakes == set()


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("run cloudqcli doctor", []),
        ("To delete it: cloudqaws delete --name X", []),
        ("cloudqd --daemon, cloudqcli requeue, cloudqcli cancel --force", []),
        ("run cloudqcli show X", ["cloudqcli show"]),
        ("cloudqcli cancel --all", ["cloudqcli cancel --all: --all"]),
        ("To confirm this home: cloudqd --confirm. Or: cloudqd --anew", ["cloudqd --anew: --anew"]),
        ("cloudqcli submit -- train --lr 0.1", []),
        ("see ~/.cloudq/log/cloudqd.log or cloudqcli.py is", []),
    ],
)
def test_collector_finds_what_does_not_exist(text: str, mistakes: list[str]) -> None:
    assert list(mistakes_in(text)) == mistakes


def test_collector_sees_the_messages() -> None:
    texts = [text for source in SOURCES for text in texts_of(source)]

    assert sum(bool(CALL.search(text)) for text in texts) > 40
