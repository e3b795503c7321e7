"""Completion of the values of options, chosen by their metavar; nothing here sends a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def complete_file(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the name of a file."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 (--help must not wait for it)

    return [CompletionItem(incomplete, type="file")]


def complete_job(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the id of a job that was seen on this machine."""
    return _beginning_so(ctx.obj.known_jobs(), incomplete)


def complete_system(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a system that was seen on this machine."""
    return _beginning_so(ctx.obj.known_systems(), incomplete)


def complete_state(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the state of a job."""
    from cloudq.domain.jobs.job_state import JobState  # noqa: PLC0415

    return _beginning_so((state.value for state in JobState), incomplete.upper())


def _beginning_so(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Return the words with which *incomplete*, or what follows its last comma, may continue."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    before, comma, beginning = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{word}") for word in words if word.startswith(beginning)]


COMPLETERS: dict[str, Completer] = {
    "FILE": complete_file,
    "PATH…": complete_file,
    "ID": complete_job,
    "ID,…": complete_job,
    "SYSTEM": complete_system,
    "SYSTEM,…": complete_system,
    "STATE,…": complete_state,
}
"""How the values of an option with this metavar are completed."""
