#!/bin/bash
# Run score.sh for 50 parameters, one task each, and show the best: ./sweep.sh SYSTEM
set -e
seq 0.02 0.02 1 | cloudqcli submit score.sh --each-line - --submit_to "$1" --quiet --fetch --output 'score.*.txt'
sort -g score.*.txt | head -n 1
