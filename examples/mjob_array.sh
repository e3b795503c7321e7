#!/bin/bash
# An array job for any system: its tasks share the sum of the numbers from 1 to 1000 among them.
#   cloudqcli submit --script examples/mjob_array.sh --array_tid 1-4:1
#$ project: my_project
#$ resource: cpu
#$ n_resource: 1
#$ walltime: 10m

set -eu
: "${ARY_TASK_ID:?this is an array job: submit it with --array_tid 1-4:1}"

tasks=$(((ARY_TASK_LAST - ARY_TASK_FIRST) / ARY_TASK_STEPSIZE + 1))
mine=$(((ARY_TASK_ID - ARY_TASK_FIRST) / ARY_TASK_STEPSIZE))
sum=0
for ((number = 1 + mine; number <= 1000; number += tasks)); do
    sum=$((sum + number))
done

echo "task $ARY_TASK_ID of $ARY_TASK_FIRST to $ARY_TASK_LAST on $SYSTEM: $sum"
echo "$sum" > "sum.$ARY_TASK_ID.txt"
