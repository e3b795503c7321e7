#!/bin/bash
# cloudq job shell of claim 3f7e7681.1: starts the script once and records how it ended.
cq_control=/c
cq_work=/w
cq_script=/w/mjob_local.sh
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
    case $1 in 99 | 100) exit 1 ;; esac
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
if ! rm -f "$cq_record"; then
    cq_say "cannot remove $cq_record of an earlier run: the script was not started"
    exit 1
fi
if [ "${1:-}" != stay ] && ! cd "$cq_work"; then
    cq_say "cannot enter $cq_work: the script was not started"
    cq_end 1
fi
export SYSTEM=kaede
export CLOUDQ_IMAGE_CACHE='/home/me/it'"'"'s'
export ARY_TASK_ID=${cq_task:-1}
export ARY_TASK_FIRST=1 ARY_TASK_LAST=4 ARY_TASK_STEPSIZE=1
cq_broken_off() {
    trap - EXIT
    cq_signal=$1
    cq_end "$2"
}
trap 'cq_broken_off TERM 143' TERM
trap 'cq_broken_off INT 130' INT
trap 'cq_broken_off HUP 129' HUP
trap 'cq_broken_off XCPU 152' XCPU
trap : USR1 USR2
trap 'cq_code=$?
    trap - EXIT
    if [ "$cq_code" -eq 0 ]; then cq_code=1; fi
    cq_say "the lines of this system before the script ended: the script was not started"
    cq_end "$cq_code"' EXIT
. /etc/profile.d/modules.sh
module load singularitypro
trap - EXIT
export PATH=/home/me/.cloudq/cache/.cloudq/3f7e7681.1/tools:$PATH CLOUDQ_WORK_DIR=$cq_work
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
}
cq_fetch 0 docker://ubuntu:24.04
trap 'cq_note_signal TERM' TERM
trap 'cq_note_signal INT' INT
trap 'cq_note_signal HUP' HUP
trap 'cq_note_signal USR1' USR1
trap 'cq_note_signal USR2' USR2
trap 'cq_note_signal XCPU' XCPU
trap 'cq_note_signal CONT' CONT
cq_ran=1
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
cq_pass_on() { :; }
trap 'cq_note_signal TERM' TERM
trap 'cq_note_signal INT' INT
trap 'cq_note_signal HUP' HUP
trap 'cq_note_signal USR1' USR1
trap 'cq_note_signal USR2' USR2
trap 'cq_note_signal XCPU' XCPU
trap 'cq_note_signal CONT' CONT
"${cq_by[@]}" "$cq_script"
cq_code=$?
cq_end "$cq_code"
