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
    command = '"$cq_script"' if plan.has_shebang else '/bin/bash "$cq_script"'
    traps = "\n".join(f"trap 'cq_note_signal {name}' {name}" for name in RECORDED_SIGNALS)
    return _TEMPLATE.format(
        directives="".join(f"{line}\n" for line in plan.directives),
        tag=plan.tag,
        control=shlex.quote(plan.control_dir),
        work=shlex.quote(plan.work_dir),
        script=shlex.quote(plan.script_path),
        local_id=dialect.local_id,
        task_id=dialect.task_id,
        command=command,
        forward="yes" if dialect.forward_signals else "",
        traps=traps,
    )


# Every name begins with cq_: a variable the user exported would reach the script changed.
# The script runs in a subshell that gives INT and QUIT back their meaning: bash makes what it
# runs in the background deaf to them. `wait` ends early for every trap, so it is asked again
# until none came in between; bash remembers the status of a child it has collected.
_TEMPLATE = """\
#!/bin/bash
{directives}# cloudq job shell of claim {tag}: starts the script once and records how it ended.
cq_control={control}
cq_work={work}
cq_script={script}
cq_local_id={local_id}
cq_task={task_id}
cq_forward={forward}
cq_suffix=${{cq_task:+.$cq_task}}
cq_lock=$cq_control/lock$cq_suffix
cq_start=$cq_control/start$cq_suffix.$cq_local_id
cq_record=$cq_control/exit$cq_suffix

cq_say() {{ printf 'cloudq: %s\\n' "$*" >&2; }}
cq_now() {{ date -u +%Y-%m-%dT%H:%M:%SZ; }}
cq_size_of() {{ stat -c %s "$1" 2>/dev/null; }}
cq_write() {{
    local cq_file=$1
    shift
    printf '%s\\n' "$@" >"$cq_file.tmp.$$" && mv -f "$cq_file.tmp.$$" "$cq_file" && return
    rm -f "$cq_file.tmp.$$"
    return 1
}}
cq_end() {{
    cq_write "$cq_record" \\
        "local_id=$cq_local_id" "exit_code=$1" "signal=$cq_signal" "host=$cq_host" \\
        "started=$cq_started" "finished=$(cq_now)" \\
        "stdout_size=$(cq_size_of "$cq_control/stdout$cq_suffix")" \\
        "stderr_size=$(cq_size_of "$cq_control/stderr$cq_suffix")" ||
        cq_say "cannot write $cq_record: the exit code was $1"
    exit "$1"
}}

cq_signal=
cq_interrupted=
cq_child=
cq_started=$(cq_now)
cq_host=$(uname -n)
case $cq_local_id in
"" | */*)
    cq_say "the scheduler gave no job id ('$cq_local_id'): the script was not started"
    exit 1
    ;;
esac
if ! cq_write "$cq_start" "local_id=$cq_local_id" "host=$cq_host" "time=$cq_started"; then
    cq_say "cannot write $cq_start: the script was not started"
    exit 1
fi
ln "$cq_start" "$cq_lock" 2>/dev/null
if ! [ -e "$cq_lock" ]; then
    cq_say "cannot make $cq_lock: the script was not started"
    exit 1
fi
cq_holder=
while IFS='=' read -r cq_name cq_value; do
    if [ "$cq_name" = local_id ]; then cq_holder=$cq_value; fi
done <"$cq_lock"
if [ "$cq_holder" != "$cq_local_id" ]; then
    cq_say "claim {tag} belongs to local job '$cq_holder': the script was not started again"
    exit 0
fi
if ! rm -f "$cq_record"; then
    cq_say "cannot remove $cq_record of an earlier run: the script was not started"
    exit 1
fi
if ! cd "$cq_work"; then
    cq_say "cannot enter $cq_work: the script was not started"
    cq_end 1
fi

cq_note_signal() {{
    cq_interrupted=yes
    if [ "$1" != CONT ]; then cq_signal=$1; fi
    if [ -n "$cq_forward" ] && [ -n "$cq_child" ]; then kill -s "$1" "$cq_child" 2>/dev/null; fi
}}
{traps}
(
    trap - INT QUIT
    exec {command}
) &
cq_child=$!
if [ -n "$cq_forward" ] && [ -n "$cq_signal" ]; then kill -s "$cq_signal" "$cq_child" 2>/dev/null; fi
while :; do
    cq_interrupted=
    wait "$cq_child"
    cq_code=$?
    if [ -z "$cq_interrupted" ]; then break; fi
done
cq_end "$cq_code"
"""
