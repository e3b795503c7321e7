"""The pages about the commands name every existing command and option."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from cloudq.entrypoints.cloudqaws import main as cloudqaws
from cloudq.entrypoints.cloudqcli import main
from cloudq.entrypoints.cloudqd import main as cloudqd

DOCS = Path(__file__).parents[4] / "docs"
CLIENT = main.list_commands(click.Context(main))
BUILDER = cloudqaws.list_commands(click.Context(cloudqaws))
COMMON = {"--config", "--log_level", "--json", "--id"}
CONDITIONS = {"--label", "--state", "--name", "--system", "--since"}
"""The options that select jobs; their section of the page explains them once for all commands."""


def options(command: click.Command) -> set[str]:
    return {parameter.opts[0] for parameter in command.params if isinstance(parameter, click.Option)}


@pytest.mark.parametrize("name", CLIENT)
def test_every_option_of_a_client_s_command_is_documented(name: str) -> None:
    page = (DOCS / "client.md").read_text(encoding="utf-8")
    [section] = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    command = main.get_command(click.Context(main), name)
    assert command is not None

    documented = CONDITIONS if "[conditions](#which-jobs)" in section else set()
    assert {each for each in options(command) - COMMON - documented if each not in section} == set()


def test_conditions_are_explained_once() -> None:
    page = (DOCS / "client.md").read_text(encoding="utf-8")
    section = page.partition("## Which jobs\n")[2].partition("\n## ")[0]

    assert {each for each in CONDITIONS if f"| `{each} " not in section} == set()


def test_every_option_of_the_agent_is_documented() -> None:
    page = (DOCS / "agent.md").read_text(encoding="utf-8")

    assert {each for each in options(cloudqd) - {"--version"} if each not in page} == set()


@pytest.mark.parametrize("name", BUILDER)
def test_every_option_of_a_builder_s_command_is_documented(name: str) -> None:
    page = (DOCS / "aws.md").read_text(encoding="utf-8")
    command = cloudqaws.get_command(click.Context(cloudqaws), name)
    assert command is not None

    assert {each for each in options(command) - {"--log_level"} if each not in page} == set()


def test_no_option_is_documented_that_is_not_there() -> None:
    commands = [main.get_command(click.Context(main), name) for name in CLIENT]
    commands += [cloudqaws.get_command(click.Context(cloudqaws), name) for name in BUILDER]
    known = {
        opt
        for command in [*commands, main, cloudqd]
        if command
        for each in command.params
        for opt in each.opts
    }
    others = {"--slots", "--time", "--lr", "--seed"}  # of schedulers, and of users' own programs
    named = {
        each
        for page in ("client.md", "agent.md", "../README.md")
        for each in re.findall(r"(?<![\w-])--[a-z_]+(?:-[a-z_]+)*", (DOCS / page).read_text(encoding="utf-8"))
    }

    assert named - known - others == {"--editable", "--group", "--dist"}


def typed_commands() -> list[tuple[str, str, str]]:
    """Return every command of the client that a page shows: the page, the command, and its arguments."""
    root = DOCS.parent
    pages = [*DOCS.rglob("*.md"), *(root / name for name in ("README.md", "examples/README.md"))]
    found = []
    for page in pages:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^\$ .*?(?<=[ /])cloudqcli ([a-z-][^|\n]*)", text, re.MULTILINE):
            name, *rest = re.sub(r"'[^']*'", "", line).split()
            found.append((page.name, name, " ".join(rest)))
    return found


@pytest.mark.parametrize(("page", "name", "rest"), typed_commands())
def test_every_command_that_a_page_shows_can_be_typed(page: str, name: str, rest: str) -> None:
    command = main.get_command(click.Context(main), name)
    known = {opt for each in (command or main).params for opt in (*each.opts, *each.secondary_opts)}

    assert command is not None or name.startswith("--"), page
    own = rest.split(" -- ", maxsplit=1)[0].removeprefix("-- ")
    assert {word for word in own.split() if word.startswith("--")} - known == set(), page
