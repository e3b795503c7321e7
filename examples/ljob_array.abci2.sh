#!/bin/bash
# An array job of ABCI 2.0 (Grid Engine): its tasks share the sum of the numbers from 1 to 1000 among them.
#   cloudqcli submit --script examples/ljob_array.abci2.sh --submit_to abci2 --submit_opt '-g YOUR_GROUP'
#$ -l rt_C.small=1
#$ -l h_rt=0:10:00
#$ -t 1-4

set -eu
tasks=$SGE_TASK_LAST
sum=0
for ((number = SGE_TASK_ID; number <= 1000; number += tasks)); do
    sum=$((sum + number))
done

echo "task $SGE_TASK_ID: $sum"
echo "$sum" > "sum.$SGE_TASK_ID.txt"
