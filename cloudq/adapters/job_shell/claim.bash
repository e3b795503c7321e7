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
