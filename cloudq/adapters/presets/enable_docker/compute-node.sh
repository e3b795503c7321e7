#!/bin/bash
# The last step in making a compute node: docker, so that jobs may use containers. ParallelCluster runs this as
# root at every start of a node, before the node takes jobs; whatever fails, the node is given up. Running it
# again ends the same.
set -Eeuo pipefail

user=ec2-user # who may use docker may be root on the node; this user may that anyway

say() { printf 'cloudq: %s\n' "$*" >&2; }
trap 'say "FAILED in line $LINENO with status $?"' ERR

# Jobs that call abci_cs_cp use the agent's installation in the shared home, which is one for this Python.
if ! python3.11 -c '' 2>/dev/null; then
    say "installing Python 3.11"
    dnf install -y -q python3.11 >&2
fi

if ! command -v docker >/dev/null; then
    say "installing docker"
    dnf install -y -q docker >&2
fi
# Not by the group docker: Slurm gives a job the groups that its user has on the head node.
mkdir -p /etc/systemd/system/docker.socket.d
printf '[Socket]\nSocketGroup=%s\n' "$user" >/etc/systemd/system/docker.socket.d/cloudq.conf

# ParallelCluster's image has NVIDIA's driver; what hands a GPU into a container is not in it.
toolkit=https://nvidia.github.io/libnvidia-container/stable/rpm/nvidia-container-toolkit.repo
if grep -qs 0x10de /sys/bus/pci/devices/*/vendor; then
    if ! command -v nvidia-ctk >/dev/null; then
        say "installing the NVIDIA container toolkit"
        curl -fsSL --retry 5 -o /etc/yum.repos.d/nvidia-container-toolkit.repo "$toolkit"
        dnf install -y -q nvidia-container-toolkit >&2
    fi
    nvidia-ctk runtime configure --runtime=docker >&2
fi

systemctl daemon-reload
systemctl enable --quiet docker.socket docker.service
systemctl restart docker.socket docker.service
runuser -u "$user" -- docker version >/dev/null
say "this compute node is ready, with docker"
