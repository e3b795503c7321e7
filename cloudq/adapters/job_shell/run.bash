# The script runs in the foreground: bash runs a trap only after the script ended, and `$?` is its exit code.
cq_ran=1
cq_pass_on() { :; }
cq_note_signals
"${cq_interpreter[@]}" "$cq_script" ${cq_arguments[@]+"${cq_arguments[@]}"}
cq_code=$?
cq_end "$cq_code"
