# The script is started through its interpreter, as the kernel would do it, because its file system may be
# mounted noexec: one word and at most one argument, which is the whole rest of the line (`env -S` splits it).
IFS= read -r cq_line <"$cq_script"
cq_line=${cq_line#'#!'}
cq_line=${cq_line#"${cq_line%%[![:blank:]]*}"}
cq_line=${cq_line%"${cq_line##*[![:blank:]]}"}
cq_interpreter=("${cq_line%%[[:blank:]]*}")
cq_line=${cq_line#"${cq_interpreter[0]}"}
cq_line=${cq_line#"${cq_line%%[![:blank:]]*}"}
if [ -n "$cq_line" ]; then cq_interpreter[1]=$cq_line; fi
case ${cq_interpreter[0]} in
"") cq_interpreter=(/bin/bash) ;;
*/*) ;;
*) cq_interpreter[0]=./${cq_interpreter[0]} ;;
esac
if ! [ -x "${cq_interpreter[0]}" ]; then
    cq_say "cannot run $cq_script: its interpreter ${cq_interpreter[0]} is not here"
fi
