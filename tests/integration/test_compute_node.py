"""The scripts of compute nodes, run unchanged in a scratch root, on stand-ins for dnf and docker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudq.adapters.presets import COMPUTE_NODE, shipped_preset
from tests.parts.head_node import HeadNode, head_node

pytestmark = pytest.mark.real

DROP_IN = "etc/systemd/system/docker.socket.d/cloudq.conf"


@pytest.fixture
def node() -> Iterator[HeadNode]:
    """A node as ParallelCluster hands it to the script; for this purpose a head node is the same."""
    with head_node() as made:
        yield made


def boot(node: HeadNode, preset: str) -> None:
    done = node.boot(shipped_preset(preset)[COMPUTE_NODE], "--cluster=mine")

    assert done.status == 0, done.said


def installed(node: HeadNode) -> list[str]:
    return [words[-1] for words in node.calls("dnf")]


def test_a_job_finds_the_python_of_the_agent_on_every_node(node: HeadNode) -> None:
    boot(node, "default")

    assert installed(node) == ["python3.11"]


def test_docker_is_there_for_the_user_of_jobs_by_the_group_that_slurm_gives_them(node: HeadNode) -> None:
    boot(node, "enable_docker")

    assert installed(node) == ["python3.11", "docker"]
    assert (node.root / DROP_IN).read_text() == "[Socket]\nSocketGroup=ec2-user\n"
    assert node.calls("systemctl")[-1] == ["restart", "docker.socket", "docker.service"]
    assert node.calls("docker") == [["version"]]


def test_a_node_with_a_gpu_hands_it_into_containers(node: HeadNode) -> None:
    node.put_gpu()

    boot(node, "enable_gpu")

    assert installed(node) == ["python3.11", "docker", "nvidia-container-toolkit"]
    assert node.calls("nvidia-ctk") == [["runtime", "configure", "--runtime=docker"]]


def test_run_twice_it_installs_nothing_again(node: HeadNode) -> None:
    node.put_gpu()

    boot(node, "enable_gpu")
    boot(node, "enable_gpu")

    assert installed(node) == ["python3.11", "docker", "nvidia-container-toolkit"]


def test_a_package_that_is_not_to_be_had_ends_it_loudly(node: HeadNode) -> None:
    script = shipped_preset("enable_docker")[COMPUTE_NODE].replace(b"install -y -q docker", b"install dokker")

    done = node.boot(script)

    assert done.status != 0
    assert "FAILED" in done.said
    assert node.calls("systemctl") == []
