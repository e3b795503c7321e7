#!/bin/bash
# The last step in making a compute node. ParallelCluster runs this as root at every start of a node, before
# the node takes jobs; whatever fails, the node is given up. Running it again ends the same.
set -Eeuo pipefail

say() { printf 'cloudq: %s\n' "$*" >&2; }
trap 'say "FAILED in line $LINENO with status $?"' ERR

# Jobs that call abci_cs_cp use the agent's installation in the shared home, which is one for this Python.
if ! python3.11 -c '' 2>/dev/null; then
    say "installing Python 3.11"
    dnf install -y -q python3.11 >&2
fi
say "this compute node is ready"
