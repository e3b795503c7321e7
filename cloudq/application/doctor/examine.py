"""Run an examination: a list of checks, each of which yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import frozen

from cloudq.domain.errors import CloudqError
from cloudq.domain.finding import Finding, Level


@frozen
class Check:
    """One check and how to run it."""

    name: str
    ask: Callable[[], Iterable[Finding]]
    """Yields at least one finding; a `CloudqError` means that the check could not be made."""
    needs: str = ""
    """The name of a check that must not have failed; if it did, this one is skipped."""


def examine(checks: Iterable[Check], begin: Callable[[str], object] = lambda _: None) -> Iterator[Finding]:
    """Run the checks in order and yield their findings; *begin* gets the name of each check before it runs.

    A check that cannot be made yields a finding with this fact, never a success.
    """
    failed: set[str] = set()
    for check in checks:
        if check.needs in failed:
            failed.add(check.name)
            yield Finding(Level.NOT_ASKED, check.name, f"skipped because the check {check.needs!r} failed")
            continue
        begin(check.name)
        for finding in _findings(check):
            if finding.is_bad:
                failed.add(check.name)
            yield finding


def _findings(check: Check) -> Iterator[Finding]:
    try:
        yield from check.ask()
    except CloudqError as error:
        yield Finding(Level.NOT_ASKED, check.name, str(error))
