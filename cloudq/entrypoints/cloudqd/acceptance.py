"""``cloudqd --acceptance``: run tiny jobs with known results on the site's own scheduler."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import click
import structlog

from cloudq.application.client.try_scheduler import TrialResult
from cloudq.bootstrap.acceptance import acceptance_parts
from cloudq.bootstrap.own_agent import agent_process
from cloudq.domain.jobs.acceptance import TRIALS, Verdict
from cloudq.entrypoints.cloudqd.request import Request
from cloudq.entrypoints.shared.logging import configure_logging
from cloudq.entrypoints.shared.terminal import printable, show_progress, width

_COLUMNS = {"result": 7, "trial": 29, "expected": 15, "concluded": 17, "s": 4}
_BAD = frozenset({Verdict.FAILED, Verdict.NOT_RUN})


def run(request: Request) -> int:
    """Run all trials and print their results; return 0 if cloudq drew the right conclusion in each."""
    config = request.config()
    agent_process(config).guard()
    signal.signal(signal.SIGTERM, _end)
    configure_logging(request.level or "ERROR", directory=None, stream=sys.stderr)
    log = structlog.stdlib.get_logger("cloudqd")
    results: list[TrialResult] = []
    with acceptance_parts(config, request.submit_opt, log, _Progress()) as parts:
        show_progress(f"Trying {parts.profile.scheduler} with profile {parts.profile.name}, in {parts.home}")
        if not request.as_json:
            click.echo("\n".join(_head()))
        for result in parts.try_scheduler(TRIALS, request.within_min * 60):
            results.append(result)
            if not request.as_json:
                click.echo("\n".join(_lines(result)))
    if request.as_json:
        click.echo(json.dumps([_record(result) for result in results], indent=2))
    return 1 if any(result.verdict in _BAD for result in results) else 0


class _Progress:
    """Show on a terminal which trials are under way, once after each change."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, under_way: str) -> None:
        if under_way and under_way != self._last:
            show_progress(f"… under way: {under_way}")
        self._last = under_way


def _head() -> Iterator[str]:
    yield _row(dict(zip(_COLUMNS, _COLUMNS, strict=True)))
    yield "-" * (sum(_COLUMNS.values()) + 2 * (len(_COLUMNS) - 1))


def _lines(result: TrialResult) -> Iterator[str]:
    yield _row(
        {
            "result": result.verdict.value,
            "trial": result.name,
            "expected": result.expected,
            "concluded": result.concluded or "-",
            "s": f"{result.seconds:.0f}" if result.concluded else "-",
        }
    )
    if result.remark:
        yield f"{'':{_COLUMNS['result'] + 2}}{printable(result.remark)}"


def _row(cells: dict[str, str]) -> str:
    padded = (cell + " " * (_COLUMNS[name] - width(cell)) for name, cell in cells.items())
    return "  ".join(padded).rstrip()


def _record(result: TrialResult) -> dict[str, object]:
    return {
        "trial": result.name,
        "result": result.verdict.value,
        "expected": result.expected,
        "concluded": result.concluded,
        "scheduler_job_id": result.scheduler_job_id,
        "seconds": round(result.seconds, 1),
        "remark": result.remark,
    }


def _end(number: int, _: FrameType | None) -> None:
    """Exit through every ``finally``, so that submitted jobs are canceled and files removed."""
    sys.exit(128 + number)
