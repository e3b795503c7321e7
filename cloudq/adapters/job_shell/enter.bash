# After a requeue, the exit record of the earlier run must not be taken for the record of this one.
if ! rm -f "$cq_record"; then
    cq_say "cannot remove $cq_record of an earlier run: the script was not started"
    exit 1
fi
if [ "${1:-}" != "$cq_stay" ] && ! cd "$cq_work"; then
    cq_say "cannot enter $cq_work: the script was not started"
    cq_end 1
fi
