#!/bin/bash
#TEST --time 1:00:00
#TEST -N name
# cloudq job shell of claim 3f7e7681.1: starts the script once and records how it ended.
cq_control=/home/me/.cloudq/cache/.cloudq/3f7e7681.1
cq_work=/home/me/.cloudq/cache/3f7e7681
cq_script='/home/me/.cloudq/cache/3f7e7681/it'"'"'s my job.sh'
cq_attempt=1
cq_local_id="${TEST_JOB:-}"
cq_task="${TEST_TASK:-}"
cq_suffix=${cq_task:+.$cq_task}
cq_lock=$cq_control/lock$cq_suffix
cq_start=$cq_control/start$cq_suffix.$cq_local_id
cq_record=$cq_control/exit$cq_suffix

cq_say() { printf 'cloudq: %s\n' "$*" >&2; }
cq_now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
cq_size_of() { stat -c %s "$1" 2>/dev/null; }
cq_write() {
    local cq_file=$1
    shift
    printf '%s\n' "$@" >"$cq_file.tmp.$$" && mv -f "$cq_file.tmp.$$" "$cq_file" && return
    rm -f "$cq_file.tmp.$$"
    return 1
}
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
        cq_say "claim 3f7e7681.1 belongs to local job '$cq_holder', attempt $cq_held:" \
            "the script was not started again"
        exit 113
    fi
}
cq_note_signal() {
    if [ "$1" != CONT ]; then cq_signal=$1; fi
    cq_pass_on "$1"
}
cq_flush() {
    sync -f "$cq_work" >/dev/null 2>&1 </dev/null &
    cq_flusher=$!
    for cq_try in {1..1200}; do
        kill -0 "$cq_flusher" 2>/dev/null || return
        sleep 0.05
    done
    cq_say "$cq_work was not flushed to its disk within 60 s"
}
cq_end() {
    trap '' TERM INT HUP USR1 USR2 XCPU CONT
    if [ -n "$cq_ran" ]; then cq_flush; fi
    cq_write "$cq_record" \
        "local_id=$cq_local_id" "exit_code=$1" "signal=$cq_signal" "host=$cq_host" \
        "started=$cq_started" "finished=$(cq_now)" \
        "stdout_size=$(cq_size_of "$cq_control/stdout$cq_suffix")" \
        "stderr_size=$(cq_size_of "$cq_control/stderr$cq_suffix")" ||
        cq_say "cannot write $cq_record: the exit code was $1"
    exit "$1"
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
cq_pid=$cq_record.pid.$$
cq_note=$cq_record.code.$$
cq_child=
cq_early=
cq_pass_on() {
    if [ -z "$cq_child" ]; then cq_early="$cq_early $1" && return; fi
    kill -s "$1" "$cq_child"
} 2>/dev/null
cq_ring() { echo "$1" >&199; } 2>/dev/null
{ exec 199<> <(:); } 2>/dev/null
trap 'cq_note_signal TERM' TERM
trap 'cq_note_signal INT' INT
trap 'cq_note_signal HUP' HUP
trap 'cq_note_signal USR1' USR1
trap 'cq_note_signal USR2' USR2
trap 'cq_note_signal XCPU' XCPU
trap 'cq_note_signal CONT' CONT
if ! rm -f "$cq_record"; then
    cq_say "cannot remove $cq_record of an earlier run: the script was not started"
    exit 1
fi
if [ "${1:-}" != stay ] && ! cd "$cq_work"; then
    cq_say "cannot enter $cq_work: the script was not started"
    cq_end 1
fi
cq_ran=1
exec 9<&0
(
    trap '' TERM INT HUP USR1 USR2 XCPU CONT
    exec <&9 9<&-
    (
        trap - TERM INT HUP USR1 USR2 XCPU CONT QUIT
        printf '%s\n' "$BASHPID" >"$cq_pid"
        cq_ring begun
        exec 199>&-
        exec /bin/bash "$cq_script"
    )
    cq_code=$?
    printf '%s\n' "$cq_code" >"$cq_note"
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
trap '' TERM INT HUP USR1 USR2 XCPU CONT
wait "$cq_waiter"
cq_code=$?
if [ -s "$cq_note" ]; then read -r cq_code <"$cq_note"; fi
if [ "$cq_code" -lt 0 ]; then cq_code=255; fi
rm -f "$cq_pid" "$cq_note"
cq_end "$cq_code"
