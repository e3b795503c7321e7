# If a log cannot be opened, the copier tries again and reports the error.
if [ -n "$cq_takes" ]; then exec >>"$cq_control/stdout$cq_suffix" 2>>"$cq_control/stderr$cq_suffix"; fi
# A stream that does not go to its log already is copied there, in addition to the place that the user chose.
# The copier ignores signals, so that it receives everything that the script writes at its end. It reads from
# a fifo and is not a process substitution, because bash before 4.4 cannot wait for those.
cq_copy() {
    if [ "/dev/fd/$1" -ef "$2" ]; then return 1; fi
    cq_fifo=$cq_record.fifo.$1.$$
    if ! mkfifo -m 600 "$cq_fifo"; then cq_say "cannot make $cq_fifo: $2 stays empty" && return 1; fi
    (
        trap '' "${cq_signals[@]}"
        exec tee -a "$2" <"$cq_fifo" >&"$1"
    ) &
    cq_copiers="$cq_copiers $!"
}
if cq_copy 2 "$cq_control/stderr$cq_suffix"; then exec 2>"$cq_fifo" && rm -f "$cq_fifo"; fi
if cq_copy 1 "$cq_control/stdout$cq_suffix"; then exec >"$cq_fifo" && rm -f "$cq_fifo"; fi
