#!/bin/bash
# An array job of ABCI 3.0 (PBS Professional): its tasks share the sum of the numbers from 1 to 1000 among them.
#   cloudqcli submit --script examples/ljob_array.abci.sh --submit_to abci --submit_opt '-P YOUR_GROUP'
#PBS -q rt_HC
#PBS -l select=1
#PBS -l walltime=0:10:00
#PBS -J 1-4

set -eu
tasks=4  # PBS tells a task its id and nothing of the others.
sum=0
for ((number = PBS_ARRAY_INDEX; number <= 1000; number += tasks)); do
    sum=$((sum + number))
done

echo "task $PBS_ARRAY_INDEX: $sum"
echo "$sum" > "sum.$PBS_ARRAY_INDEX.txt"
