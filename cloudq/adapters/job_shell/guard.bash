# A job that is ended during its preparation leaves an exit record like any other job.
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
# If a line of the site ends the shell, this must not look like a script that ran. A line with an open quote
# takes everything up to the next quote, so that no line of the job shell may have a single one.
cq_left_early() {
    trap - EXIT
    cq_say "the lines of this system before the script ended: the script was not started"
    # bash 3.2 gives a syntax error the number 258
    if [ "$1" -eq 0 ] || [ "$1" -gt 255 ]; then cq_end 1; fi
    cq_end "$1"
}
