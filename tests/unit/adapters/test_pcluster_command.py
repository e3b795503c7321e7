"""How ``pcluster`` is called and its answers are read; the answers were recorded from version 3.16.1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from cloudq.adapters.parallelcluster.command import Pcluster, find_pcluster
from cloudq.adapters.portable_process import DidNotEnd, Ended
from cloudq.domain.clusters.preset import PLANNED_SUBNET
from cloudq.domain.errors import CloudRefused, CloudUnavailable, ConfigurationRejected, ToolMissing

SUMMARY = {
    "clusterName": "c-nodes",
    "cloudformationStackStatus": "CREATE_IN_PROGRESS",
    "cloudformationStackArn": "arn:aws:cloudformation:ap-northeast-1:123456789012:stack/c-nodes/1",
    "region": "ap-northeast-1",
    "version": "3.16.1",
    "clusterStatus": "CREATE_IN_PROGRESS",
    "scheduler": {"type": "slurm"},
}
WARNING = {"level": "WARNING", "type": "KeyPairValidator", "message": "beware"}


@define
class Recorded:
    """A command runner that replays an answer and records the arguments."""

    answer: Any = field(factory=dict)
    status: int = 1
    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = field(factory=dict)
    configuration: str = ""

    def __call__(self, argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Ended:
        self.argv, self.env = tuple(argv), env
        if "--cluster-configuration" in argv:
            self.configuration = Path(argv[argv.index("--cluster-configuration") + 1]).read_text()
        if isinstance(self.answer, Exception):
            raise self.answer
        text = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        return Ended(self.status, text, "one line\nNode.js is not there\n")


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def pcluster(tmp_path: Path, recorded: Recorded) -> Pcluster:
    command = tmp_path / "parallelcluster/bin/pcluster"
    command.parent.mkdir(parents=True)
    command.touch()
    environ = {"PATH": "/usr/bin", "AWS_ACCESS_KEY_ID": "AKIA", "PYTHONPATH": "/x", "HOME": "/home/me"}
    return Pcluster(tmp_path, environ, lambda: "ap-northeast-1", run=recorded)


class TestAsking:
    def test_a_cluster_is_asked_for_by_its_name_and_a_file_that_is_gone_afterwards(
        self, pcluster: Pcluster, recorded: Recorded
    ) -> None:
        recorded.answer, recorded.status = {"cluster": SUMMARY, "validationMessages": [WARNING]}, 0

        pcluster.create("c-nodes", "Region: x\n")

        [command, *words] = recorded.argv
        assert command.endswith("/parallelcluster/bin/pcluster")
        assert words[:4] == ["create-cluster", "--cluster-name", "c-nodes", "--cluster-configuration"]
        assert words[5:] == ["--region", "ap-northeast-1"]
        assert recorded.configuration == "Region: x\n"
        assert not Path(words[4]).exists()

    def test_it_gets_the_user_s_environment_without_our_python(
        self, pcluster: Pcluster, recorded: Recorded
    ) -> None:
        pcluster.failures("c-nodes")

        assert recorded.env == {
            "PATH": "/usr/bin",
            "AWS_ACCESS_KEY_ID": "AKIA",
            "HOME": "/home/me",
            "PYTHONIOENCODING": "utf-8",
        }

    def test_a_profile_that_was_named_goes_before_keys_in_variables(
        self, pcluster: Pcluster, recorded: Recorded
    ) -> None:
        Pcluster(pcluster.home, pcluster.environ, lambda: "r", "work", recorded).failures("c")

        assert recorded.env["AWS_PROFILE"] == "work"
        assert "AWS_ACCESS_KEY_ID" not in recorded.env


class TestAnswers:
    def test_a_cluster_that_exists_is_no_error(self, pcluster: Pcluster, recorded: Recorded) -> None:
        recorded.answer = {"message": "Bad Request: Cluster c-nodes already exists."}

        pcluster.create("c-nodes", "")

        assert recorded.argv[1] == "create-cluster"

    def test_a_cluster_that_is_gone_is_removed(self, pcluster: Pcluster, recorded: Recorded) -> None:
        recorded.answer = {
            "message": "Cluster 'c-nodes' does not exist or belongs to an incompatible ParallelCluster "
            "major version."
        }

        pcluster.delete("c-nodes")

        assert recorded.argv[1] == "delete-cluster"

    def test_a_removal_begins(self, pcluster: Pcluster, recorded: Recorded) -> None:
        recorded.answer, recorded.status = {"cluster": {**SUMMARY, "clusterStatus": "DELETE_IN_PROGRESS"}}, 0

        pcluster.delete("c-nodes")

        assert recorded.argv[1:4] == ("delete-cluster", "--cluster-name", "c-nodes")

    def test_everything_wrong_in_a_configuration_is_told_and_warnings_are_not(
        self, pcluster: Pcluster, recorded: Recorded
    ) -> None:
        wrong = {
            "level": "ERROR",
            "type": "ConfigSchemaValidator",
            "message": "[('HeadNode',\n ['Unknown field.'])]",
        }
        recorded.answer = {
            "message": "Invalid cluster configuration.",
            "configurationValidationErrors": [wrong, WARNING, {**wrong, "message": "two"}],
        }

        with pytest.raises(ConfigurationRejected) as told:
            pcluster.create("c-nodes", "")

        assert told.value.problems == (
            "cluster.yaml: [('HeadNode', ['Unknown field.'])]",
            "cluster.yaml: two",
        )

    def test_a_dry_run_that_passed_ends_with_an_error(self, pcluster: Pcluster, recorded: Recorded) -> None:
        """The exit status is 1 in both cases: only the message differs."""
        recorded.answer = {"message": "Request would have succeeded, but DryRun flag is set."}

        pcluster.check_configuration("c-nodes", "", deeply=True)

        assert "--suppress-validators" not in recorded.argv

    def test_a_form_is_good_when_only_the_planned_subnet_is_missing(
        self, pcluster: Pcluster, recorded: Recorded
    ) -> None:
        recorded.answer = {
            "message": f"Invalid cluster configuration: The subnet ID '{PLANNED_SUBNET}' does not exist"
        }

        pcluster.check_configuration("c-nodes", "", deeply=False)
        with pytest.raises(ConfigurationRejected, match="does not exist"):
            pcluster.check_configuration("c-nodes", "", deeply=True)

    def test_a_refusal_is_told_in_its_own_words(self, pcluster: Pcluster, recorded: Recorded) -> None:
        recorded.answer = {"message": "LimitExceeded: too many stacks"}

        for ask in (lambda: pcluster.create("c", ""), lambda: pcluster.delete("c")):
            with pytest.raises(CloudRefused, match="LimitExceeded: too many stacks"):
                ask()

    def test_why_a_creation_failed(self, pcluster: Pcluster, recorded: Recorded) -> None:
        recorded.answer = {
            "clusterName": "c-nodes",
            "cloudFormationStackStatus": "ROLLBACK_COMPLETE",
            "failures": [{"failureCode": "HeadNodeBootstrapFailure", "failureReason": "a script failed"}],
        }

        assert pcluster.failures("c-nodes") == ("HeadNodeBootstrapFailure: a script failed",)

    @pytest.mark.parametrize("answer", ["", "usage: pcluster [-h]\nInvalid arguments", "{"])
    def test_what_is_no_json_is_no_answer(self, pcluster: Pcluster, recorded: Recorded, answer: str) -> None:
        recorded.answer = answer

        with pytest.raises(CloudUnavailable, match=r"Node\.js is not there; its log is"):
            pcluster.create("c-nodes", "")

    def test_a_command_that_does_not_end_is_no_answer(self, pcluster: Pcluster, recorded: Recorded) -> None:
        recorded.answer = DidNotEnd("pcluster gave no answer within 900 seconds")

        with pytest.raises(CloudUnavailable, match="900 seconds"):
            pcluster.delete("c-nodes")


class TestCommand:
    @pytest.mark.parametrize("version", ["3.16.1", "3.17.0"])
    def test_versions_from_the_tested_one_on_are_taken(
        self, pcluster: Pcluster, recorded: Recorded, version: str
    ) -> None:
        recorded.answer, recorded.status = {"version": version}, 0

        pcluster.check()

    @pytest.mark.parametrize("version", ["3.0.3", "3.15.0", "2.11.9", "4.0.0"])
    def test_others_are_refused_with_what_to_do(
        self, pcluster: Pcluster, recorded: Recorded, version: str
    ) -> None:
        recorded.answer, recorded.status = {"version": version}, 0

        with pytest.raises(
            ToolMissing,
            match=r"version 3, 3\.16 or newer, is required[\s\S]*pip install 'aws-parallelcluster==",
        ):
            pcluster.check()

    def test_one_that_does_not_work_is_told(self, pcluster: Pcluster, recorded: Recorded) -> None:
        recorded.answer = ""

        with pytest.raises(ToolMissing, match=r"does not work: Node\.js is not there"):
            pcluster.check()

    def test_without_any_the_user_learns_how_to_make_one(self, tmp_path: Path, recorded: Recorded) -> None:
        with pytest.raises(
            ToolMissing, match=r"python3 -m venv [\s\S]*Node\.js|Node\.js[\s\S]*python3 -m venv"
        ):
            Pcluster(tmp_path, {"PATH": str(tmp_path)}, lambda: "r", run=recorded).check()

    def test_its_own_environment_goes_before_the_path(self, tmp_path: Path) -> None:
        on_path = tmp_path / "bin/pcluster"
        on_path.parent.mkdir()
        on_path.write_text("#!/bin/sh\n")
        on_path.chmod(0o755)
        environ = {"PATH": str(on_path.parent)}

        assert find_pcluster(tmp_path, environ) == on_path
        own = tmp_path / "parallelcluster/bin/pcluster"
        own.parent.mkdir(parents=True)
        own.touch()
        assert find_pcluster(tmp_path, environ) == own
        assert find_pcluster(tmp_path / "elsewhere", {"PATH": ""}) is None
