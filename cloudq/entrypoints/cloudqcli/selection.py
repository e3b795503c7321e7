"""The jobs that a command is about: ids, or conditions that select jobs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

import click

from cloudq.entrypoints.cloudqcli.options import job_ids_of
from cloudq.entrypoints.cloudqcli.session import PROGRAM
from cloudq.entrypoints.shared.completion import complete_job
from cloudq.entrypoints.shared.faults import report
from cloudq.entrypoints.shared.options import Command, option
from cloudq.entrypoints.shared.terminal import show_message

if TYPE_CHECKING:
    from datetime import datetime

    from cloudq.client import Client
    from cloudq.domain.errors import CloudqError
    from cloudq.domain.jobs.selector import Selector


class Among(Enum):
    """The jobs among which a command selects."""

    UNFINISHED = "that has not ended"
    FINISHED = "that has ended"
    ALL = "in the store"


def selection_options(command: Command) -> Callable[..., Any]:
    """Add the options that select jobs; the command gets them as *selector*."""

    @functools.wraps(command)
    def with_selector(
        *args: Any,
        label: tuple[str, ...],
        state: tuple[str, ...],
        name: str | None,
        system: str | None,
        since: str | None,
        **kwargs: Any,
    ) -> Any:
        from cloudq.domain.jobs.selector import Selector  # noqa: PLC0415 (--help must not wait for it)

        texts = {"name": name, "system": system, "since": since}
        if empty := [f"--{option}" for option, text in texts.items() if text == ""]:
            # An unset variable of a script must not select every job.
            raise click.UsageError(f"{', '.join(empty)}: the value is empty")
        given = {option: text for option, text in texts.items() if text}
        selector = Selector.parse(labels=label, states=state, **given)
        return command(*args, selector=selector, **kwargs)

    decorated: Callable[..., Any] = with_selector
    for add in (
        option("--since", metavar="TIME", help="Only jobs since then: 2h, 3d, 2026-11-01."),
        option("--system", metavar="SYSTEM", help="Only jobs of this system."),
        option("--name", metavar="GLOB", help="Only jobs whose names match, such as 'train*'."),
        option("--state", multiple=True, metavar="STATE,…", help="Only jobs in one of these states."),
        option("--label", multiple=True, metavar="KEY=VALUE", help="Only jobs with this label; repeatable."),
    ):
        decorated = add(decorated)
    return decorated


def jobs_option(command: Command) -> Callable[..., Any]:
    """Accept ids, with and without ``--id``, or the options that select jobs; the command gets *jobs*."""

    @functools.wraps(command)
    def with_jobs(
        *args: Any, plain_ids: tuple[str, ...], id_option: tuple[str, ...], selector: Selector, **kwargs: Any
    ) -> Any:
        return command(*args, jobs=Jobs(job_ids_of((*id_option, *plain_ids)), selector), **kwargs)

    return _ids_option(selection_options(with_jobs))


def named_jobs_option(command: Command) -> Callable[..., Any]:
    """Accept ids, with and without ``--id``; the command gets them as *jobs*."""

    @functools.wraps(command)
    def with_jobs(*args: Any, plain_ids: tuple[str, ...], id_option: tuple[str, ...], **kwargs: Any) -> Any:
        return command(*args, jobs=Jobs(job_ids_of((*id_option, *plain_ids)), None), **kwargs)

    return _ids_option(with_jobs)


def _ids_option(command: Callable[..., Any]) -> Callable[..., Any]:
    with_option = option(
        "--id", "id_option", multiple=True, metavar="ID,…", help="Ids of jobs, their first digits, or 'last'."
    )
    return click.argument("plain_ids", nargs=-1, metavar="[ID…]", shell_complete=complete_job)(
        with_option(command)
    )


def check_states(selector: Selector, among: Among) -> None:
    """Raise a usage error if *selector* asks for states that no job has *among* which it selects."""
    is_possible = {Among.UNFINISHED: False, Among.FINISHED: True}.get(among)
    for state in selector.states:
        if is_possible is not None and state.is_final is not is_possible:
            raise click.UsageError(f"--state: no job {among.value} is {state.value}")


class Jobs:
    """The jobs that the user named or selected, and the problems with some of them.

    A problem with one of several jobs does not keep the others from being handled: it is shown at once, and
    the command ends with the status of the first one.
    """

    def __init__(self, texts: tuple[str, ...], selector: Selector | None) -> None:
        self._texts = texts
        self._selector = selector
        self._status = 0
        self.are_several = len(texts) != 1
        """Whether the command is about more than one job, or about selected ones, however many they are."""

    @property
    def are_named(self) -> bool:
        """Return whether ids were given."""
        return bool(self._texts)

    @property
    def are_selected(self) -> bool:
        """Return whether conditions were given."""
        return self._selector is not None and not self._selector.selects_all

    @property
    def are_given(self) -> bool:
        """Return whether ids or conditions were given."""
        return self.are_named or self.are_selected

    def ids(self, client: Client, among: Among) -> tuple[str, ...]:
        """Return the ids of the jobs, each once; of selected jobs, in the order of their submission.

        Raises a usage error for neither ids nor conditions, or both, and `JobNotFound` if no job is selected.
        """
        if self.are_named and self.are_selected:
            raise click.UsageError("name jobs by their ids, or select them by conditions, not both")
        if not self.are_given:
            raise click.UsageError("name a job by its id, the first digits of it, or 'last'")
        return self._named(client) if self.are_named else self._selected(client, among)

    @contextmanager
    def problem_kept(self) -> Iterator[None]:
        """Show an error about one of several jobs and go on; a failure of the store ends the command."""
        from cloudq.domain.errors import CloudqError, StoreProblem  # noqa: PLC0415

        try:
            yield
        except StoreProblem:
            raise
        except CloudqError as error:
            if not self.are_several:
                raise
            self.note_problem(error)

    def note_problem(self, error: CloudqError) -> None:
        """Show an error about one of the jobs; its status is that of the command, unless one came before."""
        report(PROGRAM, error, click.get_current_context())
        self._status = self._status or error.exit_code

    def end(self, status: int = 0) -> None:
        """End the command with the status of the first problem, or else with *status*."""
        if self._status or status:
            click.get_current_context().exit(self._status or status)

    def _named(self, client: Client) -> tuple[str, ...]:
        ids = []
        for text in self._texts:
            with self.problem_kept():
                ids.append(client.resolve(text))
        return tuple(dict.fromkeys(ids))

    def _selected(self, client: Client, among: Among) -> tuple[str, ...]:
        from cloudq.domain.errors import JobNotFound  # noqa: PLC0415

        by_time = sorted(self._times_and_ids(client, among), key=lambda pair: (str(pair[0] or ""), pair[1]))
        if not by_time:
            raise JobNotFound("", f"No job {among.value} is selected.")
        return tuple(dict.fromkeys(job_id for _, job_id in by_time))

    def _times_and_ids(self, client: Client, among: Among) -> Iterator[tuple[datetime | None, str]]:
        selector = self._selector
        if selector is None:
            return
        check_states(selector, among)
        if among is not Among.FINISHED:
            active = client.jobs(selector)
            for warning in active.warnings:
                show_message(warning)
            yield from ((job.time_submit, job.job_id) for job in active.jobs)
        if among is not Among.UNFINISHED:
            yield from ((entry.time_submit, entry.job_id) for entry in client.history(selector=selector))
