# Line n of the file has the arguments of task n, quoted by the agent. No trap is set yet that could end a read
# early.
cq_line=
case $cq_task in
"" | *[!0-9]*) ;;
*) cq_line=$(sed -n "$cq_task{p;q;}" "$cq_control/arguments") ;;
esac
if [ -z "$cq_line" ]; then
    cq_say "no arguments for task $cq_task: the script was not started"
    cq_end 1
fi
eval "cq_arguments+=($cq_line)"
