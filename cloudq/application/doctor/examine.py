"""Run an examination: a list of checks, each a few lines of what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import frozen

from cloudq.domain.errors import CloudqError
from cloudq.domain.finding import Finding, Level


@frozen
class Check:
    """One question and what it may find."""

    name: str
    ask: Callable[[], Iterable[Finding]]
    """Finds something in any case; an error of cloudq's means that it could not be asked."""
    needs: str = ""
    """The check without which it makes no sense: it is not asked when that one found a problem."""


def examine(checks: Iterable[Check], begin: Callable[[str], object] = lambda _: None) -> Iterator[Finding]:
    """Ask one after the other; *begin* hears the name of each before it is asked.

    A check that cannot be asked says so, and never that all is well.
    """
    failed: set[str] = set()
    for check in checks:
        if check.needs in failed:
            failed.add(check.name)
            yield Finding(Level.NOT_ASKED, check.name, f"not without what {check.needs!r} found to be wrong")
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
