"""The tour of the documentation, as a newcomer takes it: every block runs, in order, in a fresh home."""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from string import ascii_lowercase

import pytest
from attrs import define, field, frozen

from tests.parts.terminal import run_on_terminal

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tour.md"
MOST_COMMANDS = 5
"""The number of commands that may lead from a bare machine to the first job that is DONE."""
LOOK_AGAIN_S = 20.0
HOME_OF_THE_PAGE = "/home/me"

BLOCK = re.compile(r"^```(bash|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(.*[|\\]\n)*.*\n")
"""A line, and those that continue it."""
JOB_ID = re.compile(r"\b[0-9a-f]{8}\b")
BEGINNING_OF_ID = re.compile(r"\b[0-9a-f]{4,8}\b")
WHILE_IT_RUNS = re.compile(r"Job \(\w+\) (INIT|READY|RUN|COMPLETING)")
"""A line that depends on the moment at which the command looks."""
VARYING = (
    (re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"\d+ (s|min)\b( \d+ s)?"), "SPAN"),
    (re.compile(r"\d+(\.\d+)? ([KMGT]?i?B|bytes)\b"), "SIZE"),
    (re.compile(r"pid \d+"), "pid PID"),
    (re.compile(r" {2,}"), "  "),  # columns are as wide as the values
)
LOOKS = re.compile(r"cloudqcli (list|history)\b")
"""Commands that are repeated until they show what the page shows."""
INSTALLS = re.compile(r"(python3|source|pip) ")

ANY_LINES = r"(?:.*\n)*"

IN_ONE_SHELL = 'source "$STATE" 2>/dev/null; eval "$1"; status=$?; export -p >"$STATE"; exit "$status"'


@frozen
class Step:
    """A command of the page, and the lines that it shows there."""

    command: str
    shown: list[str]


def steps(page: str) -> Iterator[Step]:
    """Return the commands of a page in order. A block of ``bash`` is one command that shows nothing."""
    for language, text in BLOCK.findall(page):
        if language == "bash":
            yield Step(text, [])
            continue
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command = COMMAND.match(part)
            assert command is not None
            yield Step(command[0].rstrip("\n"), part[command.end() :].splitlines())


def first_block() -> list[Step]:
    """Return the commands of the first block: from a bare machine to the first job."""
    match = BLOCK.search(PAGE.read_text(encoding="utf-8"))
    assert match is not None
    return list(steps(match[0]))


def comparable(lines: list[str]) -> list[str]:
    """Return the lines without what differs from day to day and from machine to machine."""
    text = "\n".join(line.rstrip() for line in lines if not WHILE_IT_RUNS.fullmatch(line))
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text.splitlines()


def are_as_on_the_page(shown: list[str], step: Step) -> bool:
    """Return whether a command showed the lines of the page, where "…" is any number of lines."""
    lines = (ANY_LINES if line == "…" else re.escape(f"{line}\n") for line in comparable(step.shown))
    return re.fullmatch("".join(lines), "".join(f"{line}\n" for line in shown)) is not None


@define
class Newcomer:
    """A person with a fresh home, who types what the page says on a terminal of 80 columns."""

    home: Path
    memory: Path
    """A file in which the shell keeps its environment from command to command."""
    variables: dict[str, str] = field(factory=dict)
    ids: dict[str, str] = field(factory=dict)
    """The ids of the jobs by those on the page."""

    def type(self, step: Step) -> None:
        """Type a command; what the terminal shows in the end must be what the page shows."""
        gives_up = time.monotonic() + LOOK_AGAIN_S
        while True:
            status, screen = self._run(step.command)
            shown = self._as_on_the_page(screen, step)
            if (
                are_as_on_the_page(shown, step)
                or not LOOKS.match(step.command)
                or time.monotonic() > gives_up
            ):
                break
        if not are_as_on_the_page(shown, step):
            page = comparable(step.shown)
            pytest.fail("\n".join([f"$ {step.command}", *screen, "", "compared with the page:", *page]))
        assert (step.command, status) == (step.command, 0), "\n".join(screen)

    def _run(self, command: str) -> tuple[int, list[str]]:
        def actual(beginning: re.Match[str]) -> str:
            known = [mine for theirs, mine in self.ids.items() if theirs.startswith(beginning[0])]
            return known[0][: len(beginning[0])] if known else beginning[0]

        argv = ["bash", "-c", IN_ONE_SHELL, "bash", BEGINNING_OF_ID.sub(actual, command)]
        ended = run_on_terminal(argv, self._environ(), cwd=self.home)
        return ended.status, ended.screen

    def _as_on_the_page(self, screen: list[str], step: Step) -> list[str]:
        """Return what a command showed, with the ids and the home of the page."""
        text = "\n".join(screen).replace(str(self.home), HOME_OF_THE_PAGE)
        on_page = dict.fromkeys(JOB_ID.findall("\n".join(step.shown)))
        in_text = dict.fromkeys(JOB_ID.findall(text))
        new_here = [job_id for job_id in in_text if job_id not in self.ids.values()]
        new_there = [job_id for job_id in on_page if job_id not in self.ids]
        self.ids.update(zip(new_there, new_here, strict=False))
        by_mine = {mine: theirs for theirs, mine in self.ids.items()}
        return comparable(JOB_ID.sub(lambda found: by_mine.get(found[0], found[0]), text).splitlines())

    def _environ(self) -> dict[str, str]:
        foreign = ("CLOUDQ_", "AWS_", "PYTHON", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {
            **kept,
            "HOME": str(self.home),
            "STATE": str(self.memory),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            "CLOUDQ_AGENT_DAEMON_INTERVAL": "1",
            "CLOUDQ_AGENT_ALLOW_ROOT": "true",  # CI runs as root
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            **self.variables,
        }


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    """A person on a machine without cloudq; no agent runs afterwards."""
    home = short_directory()
    person = Newcomer(home, tmp_path / "environment")
    yield person
    person._run("cloudqd --stop")
    shutil.rmtree(home)


def short_directory() -> Path:
    """Return a new directory whose path is as long as the home on the page: lines wrap at the same words."""
    while True:
        home = Path("/tmp") / "".join(random.choices(ascii_lowercase, k=len(HOME_OF_THE_PAGE) - len("/tmp/")))
        with suppress(FileExistsError):
            home.mkdir()
            return home


def installed(directory: Path) -> dict[str, str]:
    """Return variables with which a shell finds the commands of this Python."""
    directory.mkdir()
    for name in ("cloudqcli", "cloudqd"):
        command = directory / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cloudq.entrypoints.{name} "$@"\n')
        command.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.mark.timeout(300)
def test_the_tour_shows_what_a_newcomer_sees(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.variables = installed(tmp_path / "bin")
    for step in steps(PAGE.read_text(encoding="utf-8")):
        if not INSTALLS.match(step.command):
            newcomer.type(step)


def test_five_commands_lead_from_a_bare_machine_to_done() -> None:
    block = first_block()

    assert len(block) <= MOST_COMMANDS
    assert block[-1].shown[-1].endswith("DONE")
    assert [step.command for step in block if INSTALLS.match(step.command)] == [
        step.command for step in steps(PAGE.read_text(encoding="utf-8")) if INSTALLS.match(step.command)
    ]


@pytest.mark.timeout(600)
def test_a_bare_machine_runs_its_first_job(newcomer: Newcomer) -> None:
    """The five commands as they are, with a fresh environment of Python and a copy of this repository."""
    source = newcomer.home / "cloudq"
    source.mkdir()
    shutil.copytree(ROOT / "cloudq", source / "cloudq", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    newcomer.variables = {"PATH": f"{Path(sys.executable).resolve().parent}:{os.environ['PATH']}"}
    for step in first_block():
        if step.command.startswith("pip ") and "CI" not in os.environ:
            skip_without_an_index(newcomer)
        newcomer.type(step)


def skip_without_an_index(person: Newcomer) -> None:
    """Skip a test that installs if no package index can be reached."""
    status, screen = person._run("pip download --quiet --no-deps --dest ../index attrs")
    if status:
        pytest.skip(f"needs a package index: {screen[-1]}")
