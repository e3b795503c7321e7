"""The text of the job shell: a head of assignments for one job, then the ``.bash`` files beside this module.

Nothing is substituted in the files. They run in the order in which `_parts` yields them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from shlex import quote

from cloudq.domain.jobs.job_shell import NOT_ITS_TURN, STAY, JobShellPlan, MetaSetting, ShellDialect
from cloudq.domain.scripts.command import on_one_line

_ATTEMPT = re.compile(r"^cq_attempt=[0-9]+$", re.MULTILINE)


def render_job_shell(plan: JobShellPlan, dialect: ShellDialect) -> str:
    """Return the text of the job shell of the first attempt, for bash 3.2 or newer."""
    return "\n".join(_parts(plan, dialect))


def for_attempt(job_shell: str, attempt: int) -> str:
    """Return *job_shell* with the number of the attempt to which it belongs, counted from 1."""
    return _ATTEMPT.sub(f"cq_attempt={attempt}", job_shell, count=1)


def _parts(plan: JobShellPlan, dialect: ShellDialect) -> Iterator[str]:
    yield _head(plan, dialect)
    yield _part("records")
    yield _part("claim")
    if plan.has_task_arguments:
        yield _part("task_arguments")
    if plan.environment:  # not before the commands of the parts above, which it may affect
        yield _lines(*map(_export, plan.environment))
    if dialect.forward_signals:
        yield _part("early_signals")
    yield _part("enter")
    if dialect.copies_output:
        yield _part("copy_output")
    yield _lines(*_exports(plan))
    if plan.meta is not None:
        yield from _preparation(plan.meta)
    if not _interpreter(plan):
        yield _part("interpreter")
    yield _part("run_and_forward" if dialect.forward_signals else "run")


def _head(plan: JobShellPlan, dialect: ShellDialect) -> str:
    """Return the values of one job as assignments, below its header lines, which must be at the very top."""
    reserved = "".join(f"{code} " for code in sorted(dialect.reserved_exit_codes)) if plan.meta else ""
    return _lines(
        "#!/bin/bash",
        *plan.header_lines,
        f"# cloudq job shell of claim {plan.tag}: starts the script once and records how it ended.",
        f"cq_tag={plan.tag}",
        "cq_attempt=1",
        f"cq_control={quote(plan.control_dir)}",
        f"cq_work={quote(plan.work_dir)}",
        f"cq_script={quote(plan.script_path)}",
        f"cq_arguments=({' '.join(map(on_one_line, plan.arguments))})",
        f"cq_interpreter=({quote(_interpreter(plan))})" if _interpreter(plan) else "cq_interpreter=()",
        f"cq_local_id={dialect.scheduler_job_id}",
        f"cq_task={dialect.task_id}",
        *((f"cq_takes={dialect.takes_output}",) if dialect.copies_output else ()),
        f"cq_reserved=' {reserved}'",
        f"cq_not_its_turn={NOT_ITS_TURN}",
        f"cq_stay={STAY}",
        *((f"unset {' '.join(dialect.own_variables)}",) if dialect.own_variables else ()),
    )


def _export(variable: str) -> str:
    name, _, value = variable.partition("=")
    return f"export {name}={on_one_line(value)}"


def _interpreter(plan: JobShellPlan) -> str:
    """Return the interpreter of the script; empty if the script's first line names it."""
    return plan.interpreter or ("" if plan.has_shebang else "/bin/bash")


def _preparation(meta: MetaSetting) -> Iterator[str]:
    """Yield the preparation of a meta job. In a function, `declare` in a line of the site would be local."""
    is_guarded = bool(meta.preamble or meta.images)
    if is_guarded:
        yield _part("guard")
    if meta.preamble:
        yield _lines("trap 'cq_left_early $?' EXIT", *meta.preamble, "trap - EXIT")
        yield _part("usual_options")
    if meta.tools_dir:  # after the site's lines, which may put other directories in front of PATH
        yield _lines(f"export PATH={quote(meta.tools_dir)}:$PATH CLOUDQ_WORK_DIR=$cq_work")
    if meta.images:
        yield _part("fetch_image")
        yield _lines(*(f"cq_fetch_image {n} {quote(url)}" for n, url in enumerate(meta.images)))
    if is_guarded:
        yield _lines("cq_note_signals")


def _exports(plan: JobShellPlan) -> Iterator[str]:
    """Yield the exports for the script; for a list of tasks, the lowest and highest id, and the step 1."""
    environment = {"SYSTEM": plan.system, **(plan.meta.environment if plan.meta else {})}
    yield from (f"export {name}={quote(value)}" for name, value in environment.items())
    if (array := plan.array) is not None:
        yield f"export ARY_TASK_ID=${{cq_task:-{array.first}}}"
        yield (
            f"export ARY_TASK_FIRST={array.first} ARY_TASK_LAST={array.last} ARY_TASK_STEPSIZE={array.step}"
        )


def _part(name: str) -> str:
    return (files(__package__) / f"{name}.bash").read_text(encoding="utf-8")


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)
