# Only the job shell receives signals and must pass them on, so the script runs in the background. A subshell
# that ignores signals waits for the script, writes the exit code to a file and ends: the result of `wait`
# proves nothing while signals arrive. The job shell itself must not block in `wait` either, because bash
# leaves `wait` by a jump out of the signal handler: if two signals are delivered at once, like the CONT of
# Slurm and the warning right after it on busy processors, the handler of the other signal never runs, and
# that signal is lost. `read` from the bell loses no signal and starts no process. It returns every second: a
# signal that arrives just before it sleeps is passed on then. Without a bell (no /dev/fd), `sleep` is used.
# The trap reads no file, because it may run inside that `read`.
# In the script, every signal has its default meaning again: bash makes background commands ignore INT and
# QUIT, which bash before 4.3 cannot undo. It also takes stdin from them, so stdin is passed down explicitly.
cq_ran=1
exec 9<&0
(
    trap '' "${cq_signals[@]}"
    exec <&9 9<&-
    (
        trap : "${cq_signals[@]}" QUIT # without this, bash 4.2 goes on to ignore them
        trap - "${cq_signals[@]}" QUIT
        # bash before 4.0 has no BASHPID
        printf '%s\n' "${BASHPID:-$(exec sh -c 'echo "$PPID"')}" >"$cq_pid"
        cq_ring begun
        exec 199>&-
        exec "${cq_interpreter[@]}" "$cq_script" ${cq_arguments[@]+"${cq_arguments[@]}"}
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
trap '' "${cq_signals[@]}"
wait "$cq_waiter"
cq_code=$?
if [ -s "$cq_note" ]; then read -r cq_code <"$cq_note"; fi
if [ "$cq_code" -lt 0 ]; then cq_code=255; fi
rm -f "$cq_pid" "$cq_note"
cq_end "$cq_code"
