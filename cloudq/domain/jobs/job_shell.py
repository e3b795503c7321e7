"""The job shell: the script that is submitted to a scheduler, around the user's unchanged script.

It ensures that the script starts at most once per claim and task (protocol 4.3), and records how it started
and ended (protocol 5.2). A submission is distinguished from others of its claim by its scheduler job id and
the number of the attempt: a scheduler that is reset reuses its ids, and an earlier submission may start
after a later one. Rendering is pure; the ``facts`` that it needs about a scheduler are a `ShellDialect`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from attrs import frozen

from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.header import HeaderSyntax

RECORDED_SIGNALS = ("TERM", "INT", "HUP", "USR1", "USR2", "XCPU", "CONT")

_ENDING = {"TERM": 143, "INT": 130, "HUP": 129, "XCPU": 152}
"""The signals that end a job during its preparation, and the exit code for each."""

BLOCKED = "none"
"""The content of a lock that keeps every submission from starting the script (protocol 4.7)."""

NOT_ITS_TURN = 113
"""The exit code of a submission that may not start the script, because another one holds the lock.

It is not 0: an agent that sees the scheduler's report but not the lock would take it for the script's own
exit code.
"""

FLUSH_S = 60
"""How long a job shell waits, in seconds, until the files that its script wrote are on the disk: an exit
record that survives a loss of power must not describe files that did not. The whole file system is
flushed (`syncfs`), which takes one call however many files there are; a server that does not answer must
not keep the job from ending."""
_FLUSH_PAUSE_S = 0.05

_ATTEMPT = re.compile(r"^cq_attempt=[0-9]+$", re.MULTILINE)

STAY = "stay"
"""The argument of a job shell if the user's own options determine where the script starts."""


@frozen
class ShellDialect:
    """The properties of one kind of scheduler that a job shell depends on."""

    header: HeaderSyntax
    """The syntax of the lines that are copied from the script."""
    local_id: str
    """The shell word that gives the scheduler job id, the same for all tasks of an array."""
    task_id: str
    """The shell word that gives the task id, or nothing for a job that is not an array."""
    forward_signals: bool
    """Whether the scheduler signals only the job shell, not the processes of the script."""
    copies_output: bool = False
    """Whether the user's options may redirect the output, so that the job shell must copy it."""
    reserved_exit_codes: frozenset[int] = frozenset()
    """Exit codes with another meaning for the scheduler, such as "run it again". The shell of a meta job
    ends with 1 instead of them, while its record has the true code."""
    takes_output: str = ""
    """A shell word that is not empty if the user does not want the output elsewhere: then the job shell
    does not copy it, but writes it to its logs. For schedulers that write their files only at the end."""
    own_variables: tuple[str, ...] = ()
    """Environment variables that the submission set for the job shell alone: neither the script nor
    anything that it submits may have them."""


@frozen(kw_only=True)
class MetaSetting:
    """The environment that the shell of a meta job prepares before it starts the script."""

    environment: Mapping[str, str]
    """Variables to export; the names are cloudq's own, the values may be anything."""
    preamble: tuple[str, ...] = ()
    """Lines of shell code that the site wrote."""
    tools_dir: str = ""
    """The directory that is put in front of PATH; empty if there are no tools."""
    images: tuple[str, ...] = ()
    """URLs; the file name of each becomes CONTAINER_IMG0, 1, …"""
    array: ArrayRange | None = None


@frozen
class JobShellPlan:
    """The data of one job shell; all paths are absolute."""

    tag: ClaimTag
    control_dir: str
    work_dir: str
    script_path: str
    has_shebang: bool
    header_lines: tuple[str, ...] = ()
    interpreter: str = ""
    """The interpreter that runs the script, whatever its own first line names, if the user asked for one."""
    meta: MetaSetting | None = None
    """The environment of a meta job's script; None for a local jobscript."""


def record_name(kind: str, task: int | None) -> str:
    """Return the file name of a lock or record, such as ``lock.3`` or, for a plain job, ``exit``."""
    return kind if task is None else f"{kind}.{task}"


def for_attempt(job_shell: str, attempt: int) -> str:
    """Return *job_shell* with the number of the attempt to which it belongs, counted from 1."""
    return _ATTEMPT.sub(f"cq_attempt={attempt}", job_shell, count=1)


def attempt_of(job_shell: str) -> int:
    """Return the number of the attempt to which a job shell belongs; 0 if it contains none."""
    told = _ATTEMPT.search(job_shell)
    return 0 if told is None else int(told[0].partition("=")[2])


def render_job_shell(plan: JobShellPlan, dialect: ShellDialect) -> str:
    """Return the text of the job shell of the first attempt, for bash 3.2 or newer."""
    interpreter = plan.interpreter or ("" if plan.has_shebang else "/bin/bash")
    start = f'{shlex.quote(interpreter)} "$cq_script"' if interpreter else '"${cq_by[@]}" "$cq_script"'
    run = _RUN_AND_FORWARD if dialect.forward_signals else _RUN
    copying = dialect.copies_output
    traps = "\n".join(f"trap 'cq_note_signal {name}' {name}" for name in RECORDED_SIGNALS)
    return _TEMPLATE.format(
        flush_tries=int(FLUSH_S / _FLUSH_PAUSE_S),
        flush_pause=_FLUSH_PAUSE_S,
        flush_s=FLUSH_S,
        directives="".join(f"{line}\n" for line in plan.header_lines),
        tag=plan.tag,
        stay=STAY,
        not_its_turn=NOT_ITS_TURN,
        control=shlex.quote(plan.control_dir),
        work=shlex.quote(plan.work_dir),
        script=shlex.quote(plan.script_path),
        local_id=dialect.local_id,
        task_id=dialect.task_id,
        own=_own_variables(dialect),
        end_copies=_END_COPIES if copying else "",
        copy=(_TAKE if dialect.takes_output else "") + _COPY.format(signals=" ".join(RECORDED_SIGNALS))
        if copying
        else "",
        signals=" ".join(RECORDED_SIGNALS),
        catch_early=_CATCH_EARLY.format(traps=traps) if dialect.forward_signals else "",
        leave=_leave(dialect.reserved_exit_codes if plan.meta else frozenset()),
        prepare="" if plan.meta is None else _prepare(plan.meta, traps),
        run=("" if interpreter else _INTERPRETER)
        + run.format(start=start, traps=traps, signals=" ".join(RECORDED_SIGNALS)),
    )


def _leave(reserved: frozenset[int]) -> str:
    """Return the line that replaces exit codes with another meaning for the scheduler; empty without any."""
    if not reserved:
        return ""
    codes = " | ".join(str(code) for code in sorted(reserved))
    return f"    case $1 in {codes}) exit 1 ;; esac\n"


def _prepare(meta: MetaSetting, traps: str) -> str:
    exports = [f"export {name}={shlex.quote(value)}" for name, value in meta.environment.items()]
    found = f"export PATH={shlex.quote(meta.tools_dir)}:$PATH CLOUDQ_WORK_DIR=$cq_work"
    tools = [found] if meta.tools_dir else []
    fetches = [f"cq_fetch {n} {shlex.quote(url)}" for n, url in enumerate(meta.images)]
    is_guarded = bool(meta.preamble or fetches)
    lines = [
        *exports,
        *_array_exports(meta.array),
        *((_BROKEN_OFF, *_GUARDS) if is_guarded else ()),
        *((_GUARD_EXIT, *meta.preamble, "trap - EXIT") if meta.preamble else ()),
        *tools,  # after the site's lines, which may put other directories in front of PATH
        *((_FETCH, *fetches) if fetches else ()),
        *((traps,) if is_guarded else ()),
    ]
    return "\n".join(lines) + "\n"


def _array_exports(array: ArrayRange | None) -> Iterator[str]:
    """Yield the exports for an array; for a list, these are its lowest and highest id, and the step 1."""
    if array is None:
        return
    yield f"export ARY_TASK_ID=${{cq_task:-{array.first}}}"
    yield f"export ARY_TASK_FIRST={array.first} ARY_TASK_LAST={array.last} ARY_TASK_STEPSIZE={array.step}"


# A job that is ended during its preparation leaves an exit record like any other job.
_BROKEN_OFF = """\
cq_broken_off() {
    trap - EXIT
    cq_signal=$1
    cq_end "$2"
}"""
_GUARDS = (
    *(f"trap 'cq_broken_off {name} {code}' {name}" for name, code in _ENDING.items()),
    "trap : USR1 USR2",
)

# If a line of the preamble ends the shell, this must not look like a script that ran.
_GUARD_EXIT = """\
trap 'cq_code=$?
    trap - EXIT
    if [ "$cq_code" -eq 0 ]; then cq_code=1; fi
    cq_say "the lines of this system before the script ended: the script was not started"
    cq_end "$cq_code"' EXIT"""

_FETCH = """\
cq_fetch() {
    cq_image "$2" >"$cq_record.image.$$"
    cq_code=$?
    cq_name=
    IFS= read -r cq_name <"$cq_record.image.$$"
    rm -f "$cq_record.image.$$"
    if [ "$cq_code" -eq 0 ] && [ -z "$cq_name" ]; then cq_code=1; fi
    if [ "$cq_code" -ne 0 ]; then
        cq_say "no image $2 for CONTAINER_IMG$1: the script was not started"
        cq_end "$cq_code"
    fi
    export "CONTAINER_IMG$1=$cq_name"
}"""


def _own_variables(dialect: ShellDialect) -> str:
    takes = f"cq_takes={dialect.takes_output}\n" if dialect.takes_output else ""
    return takes + (f"unset {' '.join(dialect.own_variables)}\n" if dialect.own_variables else "")


# The script is started through its interpreter, as the kernel would do it, because its file system may be
# mounted noexec: one word and at most one argument, which is the whole rest of the line (`env -S` splits it).
_INTERPRETER = """\
IFS= read -r cq_line <"$cq_script"
cq_line=${cq_line#'#!'}
cq_line=${cq_line#"${cq_line%%[![:blank:]]*}"}
cq_line=${cq_line%"${cq_line##*[![:blank:]]}"}
cq_by=("${cq_line%%[[:blank:]]*}")
cq_line=${cq_line#"${cq_by[0]}"}
cq_line=${cq_line#"${cq_line%%[![:blank:]]*}"}
if [ -n "$cq_line" ]; then cq_by[1]=$cq_line; fi
case ${cq_by[0]} in
"") cq_by=(/bin/bash) ;;
*/*) ;;
*) cq_by[0]=./${cq_by[0]} ;;
esac
if ! [ -x "${cq_by[0]}" ]; then cq_say "cannot run $cq_script: its interpreter ${cq_by[0]} is not here"; fi
"""

# The script runs in the foreground: bash runs a trap only after the script ended, and `$?` is its exit code.
_RUN = """\
cq_pass_on() {{ :; }}
{traps}
{start}
cq_code=$?
"""

# Signals that arrive before the script has started are kept for it. The traps are set only after the lock
# has been read, because a trap may end `read` early. No command substitution may follow, see `_TEMPLATE`.
# File descriptor 199 is both ends of a pipe that is known only here: the bell for which
# `_RUN_AND_FORWARD` waits.
_CATCH_EARLY = """\
cq_pid=$cq_record.pid.$$
cq_note=$cq_record.code.$$
cq_child=
cq_early=
cq_pass_on() {{
    if [ -z "$cq_child" ]; then cq_early="$cq_early $1" && return; fi
    kill -s "$1" "$cq_child"
}} 2>/dev/null
cq_ring() {{ echo "$1" >&199; }} 2>/dev/null
{{ exec 199<> <(:); }} 2>/dev/null
{traps}
"""

# Only the job shell receives signals and must pass them on, so the script runs in the background. A
# subshell that ignores signals waits for the script, writes the exit code to a file and ends: the result of
# `wait` proves nothing while signals arrive. The job shell itself must not block in `wait` either, because
# bash leaves `wait` by a jump out of the signal handler: if two signals are delivered at once, like Slurm's
# CONT and the warning right after it on busy processors, the handler of the other signal never runs, and
# that signal is lost. `read` from the bell loses no signal and starts no process. It returns every second:
# a signal that arrives just before it sleeps is passed on then. Without a bell (no /dev/fd), `sleep` is used.
# The trap reads no file, because it may run inside that `read`.
# In the script, every signal has its default meaning again: bash makes background commands ignore INT and
# QUIT. It also takes stdin from them, so stdin is passed down explicitly.
_RUN_AND_FORWARD = """\
exec 9<&0
(
    trap '' {signals}
    exec <&9 9<&-
    (
        trap - {signals} QUIT
        printf '%s\\n' "$BASHPID" >"$cq_pid"
        cq_ring begun
        exec 199>&-
        exec {start}
    )
    cq_code=$?
    printf '%s\\n' "$cq_code" >"$cq_note"
    cq_ring ended
    exit "$cq_code"
) &
cq_waiter=$!
exec 9<&-
cq_bell=
while [ "$cq_bell" != ended ] && kill -0 "$cq_waiter"; do
    if [ -z "$cq_child" ] && read -r cq_name <"$cq_pid"; then
        cq_child=$cq_name
        for cq_name in $cq_early; do cq_pass_on "$cq_name"; done
    fi
    read -r -t 1 cq_bell <&199 || [ $? -gt 128 ] || sleep 1
done 2>/dev/null
trap '' {signals}
wait "$cq_waiter"
cq_code=$?
if [ -s "$cq_note" ]; then read -r cq_code <"$cq_note"; fi
if [ "$cq_code" -lt 0 ]; then cq_code=255; fi
rm -f "$cq_pid" "$cq_note"
"""

# If a log cannot be opened, the copier tries again and reports the error.
_TAKE = """\
if [ -n "$cq_takes" ]; then exec >>"$cq_control/stdout$cq_suffix" 2>>"$cq_control/stderr$cq_suffix"; fi
"""

# A stream that does not go to its log already is copied there, in addition to the place that the user chose.
# The copier ignores signals, so that it receives everything that the script writes at its end. It reads from
# a fifo and is not a process substitution, because bash before 4.4 cannot wait for those.
_COPY = """\
cq_copy() {{
    if [ "/dev/fd/$1" -ef "$2" ]; then return 1; fi
    cq_fifo=$cq_record.fifo.$1.$$
    if ! mkfifo -m 600 "$cq_fifo"; then cq_say "cannot make $cq_fifo: $2 stays empty" && return 1; fi
    (
        trap '' {signals}
        exec tee -a "$2" <"$cq_fifo" >&"$1"
    ) &
    cq_copiers="$cq_copiers $!"
}}
if cq_copy 2 "$cq_control/stderr$cq_suffix"; then exec 2>"$cq_fifo" && rm -f "$cq_fifo"; fi
if cq_copy 1 "$cq_control/stdout$cq_suffix"; then exec >"$cq_fifo" && rm -f "$cq_fifo"; fi
"""

# Processes that the script left in the background may hold the streams open forever.
_END_COPIES = """\
    if [ -n "$cq_copiers" ]; then
        exec >>"$cq_control/stdout$cq_suffix" 2>>"$cq_control/stderr$cq_suffix"
        for cq_try in {1..50}; do
            kill -0 $cq_copiers || break
            sleep 0.1
        done 2>/dev/null
    fi
"""

# Once the script has ended, signals are ignored: they would kill the commands that write its record,
# and bash 5.2 gives up if a trap must run while it reads a command substitution.
# Every name begins with cq_: if the shell used the name of a variable that the user exported, the script
# would receive a changed value.
_TEMPLATE = """\
#!/bin/bash
{directives}# cloudq job shell of claim {tag}: starts the script once and records how it ended.
cq_control={control}
cq_work={work}
cq_script={script}
cq_attempt=1
cq_local_id={local_id}
cq_task={task_id}
{own}cq_suffix=${{cq_task:+.$cq_task}}
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
cq_require_turn() {{
    cq_holder=
    cq_held=1
    while IFS='=' read -r cq_name cq_value; do
        case $cq_name in
        local_id) cq_holder=$cq_value ;;
        attempt) cq_held=$cq_value ;;
        esac
    done <"$cq_lock"
    if [ "$cq_holder $cq_held" != "$cq_local_id $cq_attempt" ]; then
        cq_say "claim {tag} belongs to local job '$cq_holder', attempt $cq_held:" \\
            "the script was not started again"
        exit {not_its_turn}
    fi
}}
cq_note_signal() {{
    if [ "$1" != CONT ]; then cq_signal=$1; fi
    cq_pass_on "$1"
}}
cq_flush() {{
    sync -f "$cq_work" >/dev/null 2>&1 </dev/null &
    cq_flusher=$!
    for cq_try in {{1..{flush_tries}}}; do
        kill -0 "$cq_flusher" 2>/dev/null || return
        sleep {flush_pause}
    done
    cq_say "$cq_work was not flushed to its disk within {flush_s} s"
}}
cq_end() {{
    trap '' {signals}
{end_copies}    if [ -n "$cq_ran" ]; then cq_flush; fi
    cq_write "$cq_record" \\
        "local_id=$cq_local_id" "exit_code=$1" "signal=$cq_signal" "host=$cq_host" \\
        "started=$cq_started" "finished=$(cq_now)" \\
        "stdout_size=$(cq_size_of "$cq_control/stdout$cq_suffix")" \\
        "stderr_size=$(cq_size_of "$cq_control/stderr$cq_suffix")" ||
        cq_say "cannot write $cq_record: the exit code was $1"
{leave}    exit "$1"
}}

cq_signal=
cq_ran=
cq_copiers=
cq_started=$(cq_now)
cq_host=$(uname -n)
case $cq_local_id in
"" | */*)
    cq_say "the scheduler gave no job id ('$cq_local_id'): the script was not started"
    exit 1
    ;;
esac
if [ -e "$cq_lock" ]; then cq_require_turn; fi
if ! cq_write "$cq_start" \\
    "local_id=$cq_local_id" "attempt=$cq_attempt" "host=$cq_host" "time=$cq_started"; then
    cq_say "cannot write $cq_start: the script was not started"
    exit 1
fi
ln "$cq_start" "$cq_lock" 2>/dev/null
if ! [ -e "$cq_lock" ]; then
    cq_say "cannot make $cq_lock: the script was not started"
    exit 1
fi
cq_require_turn
{catch_early}if ! rm -f "$cq_record"; then
    cq_say "cannot remove $cq_record of an earlier run: the script was not started"
    exit 1
fi
if [ "${{1:-}}" != {stay} ] && ! cd "$cq_work"; then
    cq_say "cannot enter $cq_work: the script was not started"
    cq_end 1
fi
{copy}{prepare}cq_ran=1
{run}cq_end "$cq_code"
"""
