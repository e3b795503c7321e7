#!/bin/bash
# The smallest job: submit it to a system whose agent uses the embedded scheduler.
#   cloudqcli submit --script examples/ljob_hello.local.sh --submit_to local

echo "Hello from $(hostname), in $PWD"
