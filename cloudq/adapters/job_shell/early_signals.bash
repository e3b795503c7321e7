# Signals that arrive before the script has started are kept for it. The traps are set only after the lock has
# been read, because a trap may end `read` early. No command substitution may follow: see cq_end.
# File descriptor 199 is both ends of a pipe that is known only here: the bell for which the job shell waits.
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
cq_note_signals
