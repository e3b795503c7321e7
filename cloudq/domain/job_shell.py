"""The job shell: what is really handed to a scheduler, around the user's unchanged script.

It makes sure that the script starts at most once a claim and task (protocol 4.3) and records
how it started and ended (protocol 5.2). Rendering is pure; ``facts`` it needs of a scheduler are
a `ShellDialect`.
"""

from __future__ import annotations

import shlex

from attrs import frozen

from cloudq.domain.names import ClaimTag

RECORDED_SIGNALS = ("TERM", "INT", "HUP", "USR1", "USR2", "XCPU", "CONT")

BLOCKED = "none"
"""What a lock holds once no submission may start the script any more (protocol 4.7)."""


@frozen
class ShellDialect:
    """How a job shell learns about itself from one kind of scheduler."""

    directive_prefix: str
    """Header lines that begin so are copied from the script."""
    local_id: str
    """Shell word that gives the local job id, the same for all tasks of an array."""
    task_id: str
    """Shell word that gives the task id, empty for a job that is no array."""
    forward_signals: bool
    """Whether the scheduler signals the job shell alone, not the script's processes."""


@frozen
class JobShellPlan:
    """What goes into one job shell; all paths absolute."""

    tag: ClaimTag
    control_dir: str
    work_dir: str
    script_path: str
    has_shebang: bool
    directives: tuple[str, ...] = ()


def record_name(kind: str, task: int | None) -> str:
    """File name of a lock or record, such as ``lock.3`` or, for a plain job, ``exit``."""
    return kind if task is None else f"{kind}.{task}"


def render_job_shell(plan: JobShellPlan, dialect: ShellDialect) -> str:
    """The text of the job shell, for bash 3.2 or newer."""
    command = '"$script"' if plan.has_shebang else '/bin/bash "$script"'
    forward = 'kill -s "$1" "$child" 2>/dev/null' if dialect.forward_signals else ":"
    traps = "\n".join(f"trap 'note_signal {name}' {name}" for name in RECORDED_SIGNALS)
    directives = "".join(f"{line}\n" for line in plan.directives)
    return _TEMPLATE.format(
        directives=directives,
        tag=plan.tag,
        control=shlex.quote(plan.control_dir),
        work=shlex.quote(plan.work_dir),
        script=shlex.quote(plan.script_path),
        local_id=dialect.local_id,
        task_id=dialect.task_id,
        command=command,
        forward=forward,
        traps=traps,
    )


_TEMPLATE = """\
#!/bin/bash
{directives}# cloudq job shell of claim {tag}: starts the script once and records how it ended.
control={control}
work={work}
script={script}
local_id={local_id}
task={task_id}
suffix=${{task:+.$task}}
lock=$control/lock$suffix
start=$control/start$suffix.$local_id
record=$control/exit$suffix

say() {{ printf 'cloudq: %s\\n' "$*" >&2; }}
now() {{ date -u +%Y-%m-%dT%H:%M:%SZ; }}
size_of() {{ stat -c %s "$1" 2>/dev/null; }}

started=$(now)
host=$(hostname)
if ! printf 'local_id=%s\\nhost=%s\\ntime=%s\\n' "$local_id" "$host" "$started" >"$start.$$" ||
    ! mv -f "$start.$$" "$start"; then
    say "cannot write $start: the script was not started"
    exit 1
fi
ln "$start" "$lock" 2>/dev/null
holder=
while IFS='=' read -r name value; do
    if [ "$name" = local_id ]; then holder=$value; fi
done <"$lock"
if [ "$holder" != "$local_id" ]; then
    say "claim {tag} belongs to local job '$holder': the script was not started again"
    exit 0
fi
rm -f "$record"
if ! cd "$work"; then
    say "cannot enter $work: the script was not started"
    exit 1
fi

signal=
interrupted=
child=
note_signal() {{
    interrupted=yes
    if [ "$1" != CONT ]; then signal=$1; fi
    if [ -n "$child" ]; then {forward}; fi
}}
{traps}
{command} &
child=$!
while :; do
    interrupted=
    wait "$child"
    code=$?
    if [ -z "$interrupted" ]; then break; fi
done

if ! printf '%s\\n' \\
    "local_id=$local_id" "exit_code=$code" "signal=$signal" "host=$host" \\
    "started=$started" "finished=$(now)" \\
    "stdout_size=$(size_of "$control/stdout$suffix")" \\
    "stderr_size=$(size_of "$control/stderr$suffix")" >"$record.$$" ||
    ! mv -f "$record.$$" "$record"; then
    say "cannot write $record: the exit code was $code"
fi
exit "$code"
"""
