"""``cloudqaws`` with the real ``pcluster``, on a stand-in for AWS that keeps its clusters."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve
from click.testing import CliRunner, Result

from cloudq.adapters.presets import PRESETS
from cloudq.application.builder.cluster_report import Report
from cloudq.bootstrap.builder import BuilderParts, builder_parts
from cloudq.entrypoints.cloudqaws import main
from cloudq.entrypoints.cloudqaws.session import Session
from tests.parts.pcluster.part import BUILDER_KEY, JOBS, KEYPAIR, STORE_KEY, Cloud

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("pcluster"), pytest.mark.timeout(600)]

CREATE = ("create", "--name", "your-cluster", "--keypair", KEYPAIR)
OWN_BUCKET = ("--cs_bucket", JOBS)

MADE = """\
The stack (your-cluster-vpc) is creating. Please wait a minute.
The stack (your-cluster-nodes) is creating. Please wait a minute.
AWS compute cluster (your-cluster) has been created.
"""
REMOVED = """\
The stack (your-cluster-nodes) is deleting. Please wait a minute.
The stack (your-cluster-vpc) is deleting. Please wait a minute.
AWS compute cluster (your-cluster) has been deleted.
"""
"""The output of the original."""


@define
class User:
    """A user at a terminal, whose commands can be interrupted."""

    cloud: Cloud
    wrap: Callable[[BuilderParts], BuilderParts] = lambda parts: parts
    when_told: Callable[[], None] = lambda: None
    """The callback after each message that a command prints."""

    def __call__(self, *args: str) -> Result:
        def connect(home: Path, profile: str, report: Report) -> BuilderParts:
            def say(text: str) -> None:
                said(text)
                self.when_told()

            said, report = report.say, evolve(report, say=say)
            return self.wrap(builder_parts(home, os.environ, profile, report, poll_s=0.3))

        return CliRunner().invoke(main, list(args), obj=Session(connect))

    def done(self, *args: str) -> Result:
        """Run a command that must succeed."""
        result = self(*args)
        assert result.exit_code == 0, result.output
        return result

    def interrupted(self, where: str, *args: str) -> None:
        """Run a command and interrupt it right after it has called *where* of the cloud."""

        class Interrupting:
            def __init__(self, real: Any) -> None:
                self._real = real

            def __getattr__(self, name: str) -> Any:
                def call(*args: Any, **kwargs: Any) -> Any:
                    result = getattr(self._real, name)(*args, **kwargs)
                    if name == where:
                        raise KeyboardInterrupt
                    return result

                return call

        def wrap(parts: BuilderParts) -> BuilderParts:
            for owner in (parts.create, parts.delete):
                object.__setattr__(owner, "provisioner", Interrupting(owner.provisioner))
                object.__setattr__(owner, "account", Interrupting(owner.account))
            return parts

        result = User(self.cloud, wrap)(*args)
        assert result.exit_code == 130, result.output


@pytest.fixture
def user(cloud: Cloud, pcluster: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    for name, value in cloud.environ.items():
        monkeypatch.setenv(name, value)
    return User(cloud)


def test_a_cluster_is_made_listed_and_removed_as_the_original_shows_it(user: User) -> None:
    assert user.done(*CREATE, *OWN_BUCKET).stdout == MADE
    [header, rule, line] = user.done("list").stdout.splitlines()
    assert (header, len(rule)) == ("Cluster Name     Status     Creation Time", 51)
    assert line.startswith("your-cluster     COMPLETED  20")
    assert line.endswith(" UTC")
    assert user.cloud.stacks() == {
        "your-cluster-vpc": "CREATE_COMPLETE",
        "your-cluster-nodes": "CREATE_COMPLETE",
    }

    assert user.done("delete", "--name", "your-cluster").stdout == REMOVED
    assert user.done("list").stdout.splitlines() == [header, rule]
    assert user.cloud.stacks() == {}
    assert user.done("delete", "--name", "your-cluster").stdout == ""


def test_states_are_shown_while_stacks_come_and_go(user: User) -> None:
    user.cloud.order(held=["your-cluster-nodes"])
    user.done(*CREATE, *OWN_BUCKET, "--no-wait")
    assert "your-cluster     CREATING\n" in user.done("list").stdout
    # The callback releases the stacks only after the command has reported what it waits for.
    patient = User(user.cloud, when_told=lambda: user.cloud.order(held=[]))
    waited = patient.done(*CREATE, *OWN_BUCKET).stdout.splitlines()
    assert waited == MADE.splitlines()[1:]

    user.cloud.order(held=["your-cluster-nodes"])
    user.done("delete", "--name", "your-cluster", "--no-wait")
    assert "your-cluster     DELETING\n" in user.done("list").stdout
    user.cloud.order(held=[])
    user.done("delete", "--name", "your-cluster")
    assert user.cloud.stacks() == {}


def test_a_failure_is_told_and_the_same_command_makes_it_anew(user: User) -> None:
    user.cloud.order(fails={"your-cluster-nodes": "You have exceeded your quota of instances."})

    failed = user(*CREATE, *OWN_BUCKET)

    assert failed.exit_code == 15
    assert "HeadNode (AWS::EC2::Instance): You have exceeded your quota of instances." in failed.stderr
    assert "Service Quotas" in failed.stderr
    assert "'cloudqaws delete --name your-cluster' removes everything" in failed.stderr
    assert "your-cluster     FAILED\n" in user.done("list").stdout

    user.cloud.order(fails={})
    assert "The stack (your-cluster-nodes) is deleting." in user.done(*CREATE, *OWN_BUCKET).stdout
    assert "your-cluster     COMPLETED" in user.done("list").stdout


def test_interrupted_at_each_step_it_ends_the_same_and_makes_nothing_twice(user: User) -> None:
    for where in ("check_nodes", "create_network", "place_files", "create_nodes"):
        user.interrupted(where, *CREATE, *OWN_BUCKET)

    assert user.done(*CREATE, *OWN_BUCKET).stdout.splitlines()[-1] == MADE.splitlines()[-1]
    calls = user.cloud.calls.read_text().splitlines()
    assert sum("create-cluster" in call and "--dryrun" not in call for call in calls) == 1
    assert (
        len(
            user.cloud.client("ec2").describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.0.0.0/16"]}])[
                "Vpcs"
            ]
        )
        == 1
    )

    for where in ("delete", "forget"):
        user.interrupted(where, "delete", "--name", "your-cluster")
    user.done("delete", "--name", "your-cluster")
    assert user.cloud.stacks() == {}


def test_no_key_is_in_anything_that_was_made(user: User) -> None:
    """Recognizable keys are planted and everything is searched: only the secret itself may contain them."""
    cloud = user.cloud
    foreign = ("--cs_profile", "jobs", "--cs_endpoint", f"{cloud.endpoint_url}/", "--cs_bucket", JOBS)
    said = [
        user.done("--log_level", "DEBUG", *CREATE, *foreign, *more)
        for more in ((), ("--dry-run",), ("--json",))
    ]

    secrets = cloud.client("secretsmanager")
    kept = json.loads(secrets.get_secret_value(SecretId="cloudq/your-cluster/store")["SecretString"])
    assert tuple(kept.values()) == STORE_KEY

    everything = "\n".join([*(each.output for each in said), *_everything(cloud)])
    assert "cloudq/your-cluster/store" in everything  # the search covers what the nodes receive
    for word in (*STORE_KEY, *BUILDER_KEY):
        assert word not in everything


def _everything(cloud: Cloud) -> Iterator[str]:
    """Yield templates, parameters, user data, policies, objects, tables, files and arguments."""
    formation, ec2, s3, iam = (cloud.client(each) for each in ("cloudformation", "ec2", "s3", "iam"))
    for stack in formation.describe_stacks()["Stacks"]:
        yield str(stack)
        yield str(formation.get_template(StackName=stack["StackName"])["TemplateBody"])
        yield str(formation.describe_stack_events(StackName=stack["StackName"])["StackEvents"])
    for template in ec2.describe_launch_templates()["LaunchTemplates"]:
        found = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])
        yield str(found["LaunchTemplateVersions"])
    yield str(ec2.describe_instances()["Reservations"])
    yield str(iam.list_policies(Scope="Local")["Policies"])
    yield str(cloud.client("secretsmanager").list_secrets()["SecretList"])
    for bucket in s3.list_buckets()["Buckets"]:
        for found in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            yield (
                s3.get_object(Bucket=bucket["Name"], Key=found["Key"])["Body"].read().decode(errors="replace")
            )
    for path in cloud.home.rglob("*"):
        if path.is_file() and ".aws" not in path.parts:
            yield path.read_text(errors="replace")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_shipped_preset_passes_parallelcluster_s_own_checks(user: User, preset: str) -> None:
    """Before the network exists only the form is checked; once it exists, the values are checked, too."""
    files = json.loads(user.done(*CREATE, *OWN_BUCKET, "--preset_name", preset, "--dry-run", "--json").stdout)
    assert "clusters/your-cluster" in files["cluster.yaml"]

    user.interrupted("create_network", *CREATE, *OWN_BUCKET, "--preset_name", preset)
    user.done(*CREATE, *OWN_BUCKET, "--preset_name", preset, "--dry-run")
    [*_, last] = [call for call in user.cloud.calls.read_text().splitlines() if "create-cluster" in call]
    assert "--dryrun true --region" in last  # no check was skipped


def test_bad_input_is_told_before_anything_is_made(user: User) -> None:
    user("preset", "--preset_name", "default")
    broken = user.cloud.home / ".cloudq/presets/default/cluster.yaml"
    broken.write_text(broken.read_text().replace("CapacityType", "CapacityTyp"))

    for options, told in (
        (("--preset_name", "default"), "CapacityTyp"),
        (("--keypair", "nope"), "key pair 'nope'"),
        (("--zone", "ap-northeast-1x"), "zone 'ap-northeast-1x' cannot be used in this region"),
        (("--cs_bucket", "no-such-bucket-anywhere"), "does not exist in Amazon S3"),
        (("--profile", "nope"), "AWS profile 'nope'"),
        (("--name", "Your_Cluster"), "for example 'your-cluster'"),
        (("--name", "x" * 61), "61 characters"),
    ):
        result = user(*CREATE, *OWN_BUCKET, *options)
        assert result.exit_code in {2, 3}, result.output
        assert told in result.stderr
    assert user.cloud.stacks() == {}


def test_a_region_must_be_known(user: User) -> None:
    (user.cloud.home / ".aws/config").write_text("")

    result = user("list")

    assert result.exit_code == 3
    assert "no region" in result.stderr
