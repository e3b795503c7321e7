#!/bin/bash
# An array job of a Slurm cluster: its tasks share the sum of the numbers from 1 to 1000 among them.
#   cloudqcli submit --script examples/ljob_array.slurm.sh --submit_to YOUR_SYSTEM
#SBATCH --ntasks=1
#SBATCH --time=0:10:00
#SBATCH --array=1-4

set -eu
tasks=$SLURM_ARRAY_TASK_MAX
sum=0
for ((number = SLURM_ARRAY_TASK_ID; number <= 1000; number += tasks)); do
    sum=$((sum + number))
done

echo "task $SLURM_ARRAY_TASK_ID: $sum"
echo "$sum" > "sum.$SLURM_ARRAY_TASK_ID.txt"
