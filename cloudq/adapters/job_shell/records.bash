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
