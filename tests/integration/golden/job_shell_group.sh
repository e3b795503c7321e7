#!/bin/bash
#TEST --time 1:00:00
#TEST -N name
# cloudq job shell of claim 3f7e7681.1: starts the script once and records how it ended.
cq_tag=3f7e7681.1
cq_attempt=1
cq_control=/home/me/.cloudq/cache/.cloudq/3f7e7681.1
cq_work=/home/me/.cloudq/cache/3f7e7681
cq_script='/home/me/.cloudq/cache/3f7e7681/it'"'"'s my job.sh'
cq_arguments=()
cq_interpreter=()
cq_local_id="${TEST_JOB:-}"
cq_task="${TEST_TASK:-}"
cq_reserved=' '
cq_not_its_turn=113
cq_stay=stay

# The functions of all stages. Every name begins with cq_: if the job shell used the name of a variable that
# the user exported, the script would receive a changed value.
cq_suffix=${cq_task:+.$cq_task}
cq_lock=$cq_control/lock$cq_suffix
cq_start=$cq_control/start$cq_suffix.$cq_local_id
cq_record=$cq_control/exit$cq_suffix
cq_signals=(TERM INT HUP USR1 USR2 XCPU CONT)

cq_say() { printf 'cloudq: %s\n' "$*" >&2; }
cq_now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
cq_write() {
    local cq_file=$1
    shift
    printf '%s\n' "$@" >"$cq_file.tmp.$$" && mv -f "$cq_file.tmp.$$" "$cq_file" && return
    rm -f "$cq_file.tmp.$$"
    return 1
}
cq_note_signal() {
    if [ "$1" != CONT ]; then cq_signal=$1; fi
    cq_pass_on "$1"
}
cq_note_signals() {
    for cq_name in "${cq_signals[@]}"; do
        # shellcheck disable=SC2064 # the trap gets the name that the variable has now
        trap "cq_note_signal $cq_name" "$cq_name"
    done
}
# An exit record that survives a loss of power must not describe files that did not. The whole file system is
# flushed (syncfs), which takes one call however many files there are. A server that does not answer must not
# keep the job from ending.
cq_flush() {
    sync -f "$cq_work" >/dev/null 2>&1 </dev/null &
    cq_flusher=$!
    for _ in {1..1200}; do
        kill -0 "$cq_flusher" 2>/dev/null || return
        sleep 0.05
    done
    cq_say "$cq_work was not flushed to its disk within 60 s"
}
# Processes that the script left in the background may hold the streams open forever.
cq_end_copies() {
    exec >>"$cq_control/stdout$cq_suffix" 2>>"$cq_control/stderr$cq_suffix"
    for _ in {1..50}; do
        # shellcheck disable=SC2086 # several process ids
        kill -0 $cq_copiers || break
        sleep 0.1
    done 2>/dev/null
}
# Signals are ignored from here on: they would kill the commands that write the record, and bash 5.2 gives up
# if a trap must run while it reads a command substitution.
cq_end() {
    trap '' "${cq_signals[@]}"
    if [ -n "$cq_copiers" ]; then cq_end_copies; fi
    if [ -n "$cq_ran" ]; then cq_flush; fi
    cq_write "$cq_record" \
        "local_id=$cq_local_id" "exit_code=$1" "signal=$cq_signal" "host=$cq_host" \
        "started=$cq_started" "finished=$(cq_now)" ||
        cq_say "cannot write $cq_record: the exit code was $1"
    case $cq_reserved in *" $1 "*) exit 1 ;; esac
    exit "$1"
}

# Take the lock, or leave: the lock names the one submission that may start the script. `ln` makes it only if
# there is none, on network file systems too.
cq_require_turn() {
    cq_holder=
    cq_held=1
    while IFS='=' read -r cq_name cq_value; do
        case $cq_name in
        local_id) cq_holder=$cq_value ;;
        attempt) cq_held=$cq_value ;;
        esac
    done <"$cq_lock"
    if [ "$cq_holder $cq_held" != "$cq_local_id $cq_attempt" ]; then
        cq_say "claim $cq_tag belongs to local job '$cq_holder', attempt $cq_held:" \
            "the script was not started again"
        exit "$cq_not_its_turn"
    fi
}
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
if ! cq_write "$cq_start" \
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

# After a requeue, the exit record of the earlier run must not be taken for the record of this one.
if ! rm -f "$cq_record"; then
    cq_say "cannot remove $cq_record of an earlier run: the script was not started"
    exit 1
fi
if [ "${1:-}" != "$cq_stay" ] && ! cd "$cq_work"; then
    cq_say "cannot enter $cq_work: the script was not started"
    cq_end 1
fi

export SYSTEM=alpha
export ARY_TASK_ID=${cq_task:-1}
export ARY_TASK_FIRST=1 ARY_TASK_LAST=4 ARY_TASK_STEPSIZE=1

# The script is started through its interpreter, as the kernel would do it, because its file system may be
# mounted noexec: one word and at most one argument, which is the whole rest of the line (`env -S` splits it).
IFS= read -r cq_line <"$cq_script"
cq_line=${cq_line#'#!'}
cq_line=${cq_line#"${cq_line%%[![:blank:]]*}"}
cq_line=${cq_line%"${cq_line##*[![:blank:]]}"}
cq_interpreter=("${cq_line%%[[:blank:]]*}")
cq_line=${cq_line#"${cq_interpreter[0]}"}
cq_line=${cq_line#"${cq_line%%[![:blank:]]*}"}
if [ -n "$cq_line" ]; then cq_interpreter[1]=$cq_line; fi
case ${cq_interpreter[0]} in
"") cq_interpreter=(/bin/bash) ;;
*/*) ;;
*) cq_interpreter[0]=./${cq_interpreter[0]} ;;
esac
if ! [ -x "${cq_interpreter[0]}" ]; then
    cq_say "cannot run $cq_script: its interpreter ${cq_interpreter[0]} is not here"
fi

# The script runs in the foreground: bash runs a trap only after the script ended, and `$?` is its exit code.
cq_ran=1
cq_pass_on() { :; }
cq_note_signals
"${cq_interpreter[@]}" "$cq_script" ${cq_arguments[@]+"${cq_arguments[@]}"}
cq_code=$?
cq_end "$cq_code"
