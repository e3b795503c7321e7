#!/bin/bash
# An array job for the embedded scheduler: every task squares its own number.
#   cloudqcli submit --script examples/ljob_array.local.sh --submit_to local --array_tid 1-4

echo "task $ARY_TASK_ID of $ARY_TASK_FIRST to $ARY_TASK_LAST"
echo "$ARY_TASK_ID squared is $((ARY_TASK_ID * ARY_TASK_ID))" > "square.$ARY_TASK_ID.txt"
