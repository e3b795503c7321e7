"""One place where an error becomes words on stderr and an exit status.

The exit statuses are documented in ``docs/exit-statuses.md``.
"""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from cloudq.domain.errors import CloudqError, ObjectNotFound, UsageProblem
from cloudq.entrypoints.shared.terminal import tell

INTERRUPTED = 130
"""128 + SIGINT, as shells say it."""

READER_LEFT = 141
"""128 + SIGPIPE: whoever read our output wanted no more."""

UNEXPECTED = 1

MAX_CAUSES = 4


@contextmanager
def faults_reported(program: str, ctx: click.Context) -> Iterator[None]:
    """Report what goes wrong inside and end the command with its status."""
    try:
        yield
        sys.stdout.flush()
    except (click.ClickException, click.exceptions.Exit):
        raise
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
        ctx.exit(INTERRUPTED)
    except CloudqError as error:
        _report(program, error, ctx)
        ctx.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 (a defect is reported as one, without a traceback)
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            _close_stdout()
            ctx.exit(READER_LEFT)
        _report_unexpected(program, error, ctx)
        ctx.exit(UNEXPECTED)


def _report(program: str, error: CloudqError, ctx: click.Context) -> None:
    said = str(error) or type(error).__name__
    tell(said, f"{program}: ")
    for cause in _causes(error):
        words = str(cause) or type(cause).__name__
        if words not in said and not isinstance(cause, ObjectNotFound):  # the error says it better
            tell(words, f"{program}: because: ")
            said += words
    _trace(error, ctx)


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, UsageProblem):
        return  # what users asked is told in full in the words of what they asked
    for _ in range(MAX_CAUSES):
        if error.__cause__ is None:
            return
        error = error.__cause__
        if isinstance(error, CloudqError | OSError):  # adapters tell what other libraries said
            yield error


def _report_unexpected(program: str, error: Exception, ctx: click.Context) -> None:
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        tell(f"{place}{error.strerror or error}", f"{program}: ")
    else:
        tell(f"unexpected {type(error).__name__}: {error}", f"{program}: ")
        if not _is_debugging(ctx):
            tell("this is a defect; --log_level DEBUG shows where it is", f"{program}: ")
    _trace(error, ctx)


def _trace(error: BaseException, ctx: click.Context) -> None:
    if _is_debugging(ctx):
        tell("".join(traceback.format_exception(error)))


def _is_debugging(ctx: click.Context) -> bool:
    return getattr(ctx.obj, "level", "") == "DEBUG"


def _close_stdout() -> None:
    """Whatever is still buffered can reach nobody; the interpreter must not try at its end."""
    with suppress(OSError):
        sys.stdout.close()
