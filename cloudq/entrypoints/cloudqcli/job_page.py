"""One job on a terminal: the fields of ``stat`` in groups, without those that are empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import frozen

from cloudq.domain.jobs.exit_words import exit_in_words
from cloudq.domain.jobs.history import time_between
from cloudq.domain.names import duration
from cloudq.entrypoints.cloudqcli.columns import state_style
from cloudq.entrypoints.cloudqcli.tables import field_text
from cloudq.entrypoints.shared.drawing import age
from cloudq.entrypoints.shared.terminal import local_time, printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

    from cloudq.domain.jobs.job import Job

GROUPS = {
    "State": ("state", "note", "exit_code", "error_msg", "tasks", "remarks"),
    "System": (
        "run_system", "jobid", "placement", "local_account", "local_group", "workdir", "local_name",
        "submit_opt_local", "submit_command",
    ),
    "Request": (
        "jobscript_type", "script_file", "arguments", "environment", "submit_to", "submit_opt", "array_tid",
        "hold_jid", "hold_ok_jid", "labels", "outputs",
    ),
    "Times": (
        "time_submit", "time_receive", "time_ready", "time_start", "time_stageout_start",
        "time_stageout_finish", "time_finish",
    ),
    "Files": ("size_input", "size_output", "output_files", "output_bytes", "left_out"),
}  # fmt: skip
"""All fields that `stat` shows, by group, except those in the title; and the note of the page."""

TITLE = ("uuid", "name")

LABELS = {
    "run_system": "system",
    "jobid": "scheduler job id",
    "exit_code": "exit code",
    "error_msg": "reason",
    "local_account": "account",
    "local_group": "group",
    "workdir": "work directory",
    "local_name": "converted script",
    "submit_opt_local": "scheduler options",
    "submit_command": "command",
    "jobscript_type": "script type",
    "script_file": "script",
    "environment": "variables",
    "submit_to": "submit to",
    "submit_opt": "options",
    "array_tid": "array",
    "hold_jid": "after the end of",
    "hold_ok_jid": "after DONE of",
    "time_submit": "submitted",
    "time_receive": "claimed",
    "time_ready": "queued",
    "time_start": "started",
    "time_stageout_start": "stage out began",
    "time_stageout_finish": "stage out ended",
    "time_finish": "finished",
    "size_input": "input, packed",
    "size_output": "output, packed",
    "output_files": "output files",
    "output_bytes": "output, unpacked",
    "left_out": "left out",
}
"""The labels of fields whose names do not explain them."""

LABEL_COLUMNS = 17
GAP = 2
MOST_LINES = 20
"""The lines of one field: an array may have thousands of groups of tasks."""
MOST_CHARS = 2_000
"""The characters of one line: more than any reason has, and fewer than a list of tasks may have."""
SHOWN_WHOLE = ": see --json"


@frozen
class JobPage:
    """A job, and what its agent reports about it; rich renders it. Long values continue on more lines."""

    job: Job
    now: datetime
    note: str = ""
    """Why the job waits."""
    progress: str = ""
    """How many tasks of an array have ended."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text  # noqa: PLC0415 (see drawing)

        yield Text.assemble((f"Job {self.job.uuid}", "bold"), f"  {printable(self.job.name)}")
        for name, fields in GROUPS.items():
            table = self._group(name, fields)
            if table.row_count:
                yield ""
                yield table

    def _group(self, name: str, fields: Sequence[str]) -> Table:
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(
            box=None, padding=(0, GAP, 0, 0), pad_edge=False, show_header=False,
            title=name, title_justify="left", title_style="bold",
        )  # fmt: skip
        table.add_column(no_wrap=True, style="dim", min_width=LABEL_COLUMNS)
        table.add_column(overflow="fold")
        for field in fields:
            for index, line in enumerate(self._lines(field)):
                style = state_style(self.job) if field == "state" else ""
                table.add_row("" if index else LABELS.get(field, field), Text(printable(line), style))
        return table

    def _lines(self, field: str) -> Sequence[str]:
        """Return the lines of a field; none if it is empty, and only some if there are very many."""
        own = {"note": self.note, "tasks": self.job.tasks.groups}
        value = own[field] if field in own else getattr(self.job, field)
        if value is None or value in ("", ()):
            return ()
        lines = [_cut(line) for line in _LINES.get(field, _one_line)(field, self)]
        if len(lines) <= MOST_LINES:
            return lines
        return [*lines[:MOST_LINES], f"and {len(lines) - MOST_LINES} more{SHOWN_WHOLE}"]


def _cut(line: str) -> str:
    return line if len(line) <= MOST_CHARS else f"{line[:MOST_CHARS]} and more{SHOWN_WHOLE}"


def _one_line(field: str, page: JobPage) -> Sequence[str]:
    return [field_text(page.job, field)]


def _state(_: str, page: JobPage) -> Sequence[str]:
    return [f"{page.job.state.value} {page.progress}".rstrip()]


def _note(_: str, page: JobPage) -> Sequence[str]:
    return [page.note]


def _items(field: str, page: JobPage) -> Sequence[str]:
    return list(getattr(page.job, field))


def _converted(field: str, page: JobPage) -> Sequence[str]:
    """A local jobscript is never converted: its name is in the title already."""
    return _one_line(field, page) if page.job.is_meta else ()


def _bytes(field: str, page: JobPage) -> Sequence[str]:
    return [f"{getattr(page.job, field):,} bytes"]


def _exit(field: str, page: JobPage) -> Sequence[str]:
    code = page.job.exit_code
    if code is None or (words := exit_in_words(code)) == f"exit code {code}":
        return _one_line(field, page)
    return [f"{code}: {words}"]


def _tasks(_: str, page: JobPage) -> Sequence[str]:
    return [str(group) for group in page.job.tasks.groups]


def _time(field: str, page: JobPage) -> Sequence[str]:
    time = getattr(page.job, field)
    return [f"{local_time(time)}  ({age(page.now, time)}{_length(field, page.job)})"]


def _length(field: str, job: Job) -> str:
    """Return how long the job waited or ran, beside the time at which that ended."""
    lengths = {
        "time_start": ("waited", time_between(job.time_submit, job.time_start)),
        "time_finish": ("ran", time_between(job.time_start, job.time_finish)),
    }
    words, length = lengths.get(field, ("", None))
    return "" if length is None else f", {words} {duration(length.total_seconds())}"


_LINES: Mapping[str, Callable[[str, JobPage], Sequence[str]]] = {
    **dict.fromkeys(GROUPS["Times"], _time),
    **dict.fromkeys(("size_input", "size_output", "output_bytes"), _bytes),
    **dict.fromkeys(("remarks", "left_out"), _items),
    "local_name": _converted,
    "state": _state,
    "note": _note,
    "exit_code": _exit,
    "tasks": _tasks,
}
"""How fields are shown that have a form of their own."""
