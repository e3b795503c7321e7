"""The one place that turns an error into a message on stderr and an exit status.

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
from cloudq.entrypoints.shared.advice import advised
from cloudq.entrypoints.shared.terminal import show_message

INTERRUPTED = 130
"""128 + SIGINT, the exit status that shells use."""

READER_LEFT = 141
"""128 + SIGPIPE: the reader of the output closed the pipe."""

UNEXPECTED = 1

MAX_CAUSES = 4


@contextmanager
def faults_reported(program: str, ctx: click.Context) -> Iterator[None]:
    """Report an error raised inside the context, and end the command with the error's exit status."""
    try:
        yield
        sys.stdout.flush()
    except (click.ClickException, click.exceptions.Exit):
        raise
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
        ctx.exit(INTERRUPTED)
    except CloudqError as error:
        report(program, error, ctx)
        ctx.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 (a defect is reported as one, without a traceback)
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            _close_stdout()
            ctx.exit(READER_LEFT)
        _report_unexpected(program, error, ctx)
        ctx.exit(UNEXPECTED)


def report(program: str, error: CloudqError, ctx: click.Context) -> None:
    """Show an error with its advice and its causes on stderr."""
    shown = advised(error) or type(error).__name__
    show_message("\n".join([shown, *getattr(error, "__notes__", ())]), f"{program}: ")
    for cause in _causes(error):
        text = str(cause) or type(cause).__name__
        if text not in shown and not isinstance(cause, ObjectNotFound):  # the error covers it
            text = advised(cause)
            show_message(text, f"{program}: because: ")
            shown += text
    _trace(error, ctx)


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, UsageProblem):
        return  # a usage error is complete by itself, in the user's own terms
    for _ in range(MAX_CAUSES):
        if error.__cause__ is None:
            return
        error = error.__cause__
        if isinstance(error, CloudqError | OSError):  # adapters wrap other libraries' errors
            yield error


def _report_unexpected(program: str, error: Exception, ctx: click.Context) -> None:
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        show_message(f"{place}{error.strerror or error}", f"{program}: ")
    else:
        show_message(f"unexpected {type(error).__name__}: {error}", f"{program}: ")
        if not _is_debugging(ctx):
            show_message("this is a defect; --log_level DEBUG shows where it is", f"{program}: ")
    _trace(error, ctx)


def _trace(error: BaseException, ctx: click.Context) -> None:
    if _is_debugging(ctx):
        show_message("".join(traceback.format_exception(error)))


def _is_debugging(ctx: click.Context) -> bool:
    return getattr(ctx.obj, "level", "") == "DEBUG"


def _close_stdout() -> None:
    """Close stdout, so that the interpreter does not try to write buffered output, which has no reader."""
    with suppress(OSError):
        sys.stdout.close()
