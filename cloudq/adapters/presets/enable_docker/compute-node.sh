#!/bin/bash
# The last step in making a compute node: docker, so that jobs may use containers. ParallelCluster runs this as
# root at every start of a node, before the node takes jobs; whatever fails, the node is given up. Running it
# again ends the same.
set -Eeuo pipefail

user=ec2-user # who may use docker may be root on the node; this user may that anyway

say() { printf 'cloudq: %s\n' "$*" >&2; }
trap 'say "FAILED in line $LINENO with status $?"' ERR

# Jobs that call abci_cs_cp use the agent's installation in the shared home, which is one for this Python.
if ! command -v python3.11 >/dev/null; then
    say "installing Python 3.11"
    dnf install -y -q python3.11 >&2
fi

if ! command -v docker >/dev/null; then
    say "installing docker"
    dnf install -y -q docker >&2
fi
usermod -aG docker "$user"

# ParallelCluster's image has the driver; what hands a GPU into a container is NVIDIA's.
toolkit=https://nvidia.github.io/libnvidia-container/stable/rpm/nvidia-container-toolkit.repo
if [[ -e /dev/nvidiactl ]]; then
    if ! command -v nvidia-ctk >/dev/null; then
        say "installing the NVIDIA container toolkit"
        curl -fsSL --retry 5 -o /etc/yum.repos.d/nvidia-container-toolkit.repo "$toolkit"
        dnf install -y -q nvidia-container-toolkit >&2
    fi
    nvidia-ctk runtime configure --runtime=docker >&2
fi

systemctl enable --quiet docker.service
systemctl restart docker.service
say "this compute node is ready, with docker"
