"""The shipped presets, checked by their consumers: ParallelCluster, CloudFormation and linters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from cloudq.adapters.presets import NETWORK, PRESETS, shipped_preset
from tests.parts.presets import OPTIONAL, VALUES, filled_configuration, pcluster_command

REGION = "ap-northeast-1"
SCHEMA_CHECK = """\
import json, sys, yaml
from marshmallow import ValidationError
from pcluster.schemas.cluster_schema import ClusterSchema
from pcluster.validators.slurm_settings_validator import (
    SLURM_SETTINGS_DENY_LIST, CustomSlurmSettingLevel, CustomSlurmSettingsValidator)
told = {}
for name, text in json.load(sys.stdin).items():
    try:
        cluster = ClusterSchema(cluster_name="mine").load(yaml.safe_load(text))
    except ValidationError as error:
        told[name] = str(error.messages)
        continue
    settings = cluster.scheduling.settings.custom_slurm_settings
    denied = [name for names in SLURM_SETTINGS_DENY_LIST["SlurmConf"].values() for name in names]
    found = CustomSlurmSettingsValidator().execute(settings, denied, CustomSlurmSettingLevel.SLURM_CONF)
    told[name] = "".join(failure.message for failure in found)
print(json.dumps(told))
"""


def checked_by_parallelcluster(configurations: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return what ParallelCluster's own schema rejects in each, without a connection to AWS."""
    python = pcluster_command().resolve().parent / "python"
    done = subprocess.run(
        [python, "-W", "ignore", "-c", SCHEMA_CHECK],
        input=json.dumps({name: yaml.safe_dump(content) for name, content in configurations.items()}),
        env={"PATH": os.defpath, "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.real
def test_parallelcluster_accepts_every_preset_with_any_kind_of_job_bucket() -> None:
    barely = VALUES | dict.fromkeys(OPTIONAL, "")
    configurations = {
        f"{preset} {kind}": filled_configuration(preset, values)
        for preset in PRESETS
        for kind, values in (("full", VALUES), ("bare", barely))
    }

    told = checked_by_parallelcluster(configurations)

    assert told == dict.fromkeys(configurations, "")


@pytest.mark.real
def test_parallelcluster_would_tell_a_typing_mistake_and_a_setting_that_is_its_own() -> None:
    typo, own = filled_configuration("default"), filled_configuration("default")
    typo["Scheduling"]["SlurmQueues"][0]["CapacityTyp"] = "SPOT"
    own["Scheduling"]["SlurmSettings"]["CustomSlurmSettings"].append({"SuspendTime": 1})

    told = checked_by_parallelcluster({"typo": typo, "own": own})

    assert "'CapacityTyp': ['Unknown field.']" in told["typo"]
    assert "not allowed: SuspendTime" in told["own"]


@pytest.mark.parametrize("preset", PRESETS)
def test_spot_is_accepted_when_its_line_is_used(preset: str) -> None:
    text = shipped_preset(preset)["cluster.yaml"].decode()
    text = text.replace("      CapacityType: ONDEMAND\n", "").replace(
        "# CapacityType: SPOT", "CapacityType: SPOT"
    )

    [queue] = yaml.safe_load(text)["Scheduling"]["SlurmQueues"]

    assert queue["CapacityType"] == "SPOT"


def test_a_linter_for_templates_finds_nothing_in_the_network(tmp_path: Path) -> None:
    (tmp_path / NETWORK).write_bytes(shipped_preset("default")[NETWORK])

    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "-r", REGION, "--", tmp_path / NETWORK],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.real
def test_a_linter_for_shells_finds_nothing_in_the_scripts(tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain("not installed here: shellcheck")
    for preset in PRESETS:
        for name, content in shipped_preset(preset).items():
            (tmp_path / f"{preset}.{name}").write_bytes(content)

    scripts = sorted(tmp_path.glob("*.sh"))
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")
    assert len(scripts) == 2 * len(PRESETS)


class Cloud:
    """CloudFormation with the network of one cluster."""

    def __init__(self) -> None:
        self.ec2 = boto3.client("ec2", region_name=REGION)
        self.iam = boto3.client("iam", region_name=REGION)
        self.stacks = boto3.client("cloudformation", region_name=REGION)

    def make(self, **parameters: str) -> dict[str, str]:
        """Create the stack and return its outputs."""
        given = {"ClusterName": "mine", "Zone": f"{REGION}a", **parameters}
        self.stacks.create_stack(
            StackName="mine-vpc",
            TemplateBody=shipped_preset("default")[NETWORK].decode(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        [stack] = self.stacks.describe_stacks(StackName="mine-vpc")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def subnet(self, subnet: str) -> dict[str, Any]:
        [found] = self.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
        return dict(found)

    def ways_out(self, vpc: str) -> list[str]:
        """Return the target kinds of all default routes; moto does not show which route table is whose."""
        of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
        tables = self.ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
        routes = [route for table in tables for route in table["Routes"]]
        found = [route for route in routes if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
        return sorted(str(route.get("NatGatewayId") or route["GatewayId"])[:3] for route in found)

    def statements(self, policy: str) -> list[dict[str, Any]]:
        found = self.iam.get_policy_version(PolicyArn=policy, VersionId="v1")["PolicyVersion"]
        return list(found["Document"]["Statement"])


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Cloud()


def test_the_network_has_no_gateway_that_is_charged_by_the_hour(cloud: Cloud) -> None:
    made = cloud.make()
    head, compute = made["HeadNodeSubnetId"], made["ComputeSubnetId"]

    assert set(made) == {"VpcId", "HeadNodeSubnetId", "ComputeSubnetId"}
    assert {cloud.subnet(subnet)["VpcId"] for subnet in (head, compute)} == {made["VpcId"]}
    assert {cloud.subnet(subnet)["AvailabilityZone"] for subnet in (head, compute)} == {f"{REGION}a"}
    assert cloud.ways_out(made["VpcId"]) == ["igw", "igw"]
    assert cloud.ec2.describe_nat_gateways()["NatGateways"] == []
    assert cloud.ec2.describe_addresses()["Addresses"] == []
    assert {end["VpcEndpointType"] for end in cloud.ec2.describe_vpc_endpoints()["VpcEndpoints"]} == {
        "Gateway"
    }


def test_with_a_nat_gateway_compute_nodes_reach_the_outside_through_it(cloud: Cloud) -> None:
    made = cloud.make(NatGateway="yes")
    [nat] = cloud.ec2.describe_nat_gateways()["NatGateways"]

    assert cloud.ways_out(made["VpcId"]) == ["igw", "nat"]
    assert nat["SubnetId"] == made["HeadNodeSubnetId"]


def test_the_network_names_what_the_machines_may_do_with_the_job_bucket(cloud: Cloud) -> None:
    made = cloud.make(StoreBucket="my-jobs", StorePrefix="team/")
    bucket, objects = cloud.statements(made["StorePolicyArn"])

    assert ":policy/cloudq/mine/" in made["StorePolicyArn"]
    assert bucket["Resource"] == "arn:aws:s3:::my-jobs"
    assert objects["Resource"] == "arn:aws:s3:::my-jobs/team/*"
    assert "SecretPolicyArn" not in made


def test_with_a_secret_the_head_node_may_read_that_one(cloud: Cloud) -> None:
    made = cloud.make(SecretArn=VALUES["secret"])
    [statement] = cloud.statements(made["SecretPolicyArn"])

    assert statement["Action"] == "secretsmanager:GetSecretValue"
    assert statement["Resource"] == VALUES["secret"]
    assert "StorePolicyArn" not in made
