"""The promises of the shipped presets, checked in their files."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from cloudq.adapters import presets
from cloudq.adapters.presets import CLUSTER, FILES, PRESETS, iam_boundary, iam_policy, shipped_preset
from tests.parts.presets import PLACEHOLDER, VALUES, cluster_configuration, network_template

EXAMPLES = Path(__file__).parents[3] / "examples"
MAX_POLICY_CHARACTERS = 6144
"""The limit for a managed policy, not counting blanks."""
EVERY_PRESET = pytest.mark.parametrize("preset", PRESETS)
BOUNDARY = "arn:aws:iam::123456789012:policy/cloudq-boundary"
GIVE_RIGHTS = {
    "iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
    "iam:PutRolePolicy",
}  # fmt: skip
ROLES_OF_CLUSTERS = "arn:aws:iam::*:role/parallelcluster/*"


def queues(preset: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster_configuration(preset)["Scheduling"]["SlurmQueues"]
    return found


def instances(preset: str) -> list[dict[str, Any]]:
    return [instance for queue in queues(preset) for instance in queue["ComputeResources"]]


def statements() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(iam_policy())["Statement"]
    return found


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@EVERY_PRESET
def test_every_preset_is_complete_for_somebody_who_owns_it(preset: str) -> None:
    assert set(shipped_preset(preset)) == set(FILES)
    assert all(shipped_preset(preset).values())


def test_no_file_of_a_preset_is_a_copy_of_another_one() -> None:
    folders = [folder for folder in files(presets).iterdir() if folder.is_dir() and folder.name in PRESETS]
    contents = [file.read_bytes() for folder in folders for file in folder.iterdir() if file.name in FILES]

    assert len(contents) == len(set(contents))


def test_a_preset_that_is_not_there_is_not_made_up() -> None:
    with pytest.raises(KeyError):
        shipped_preset("enable_everything")


def test_only_the_compute_nodes_tell_presets_apart() -> None:
    """Otherwise a later change to one of them could be missing in the other."""
    default, gpu = (cluster_configuration(preset) for preset in ("default", "enable_gpu"))
    for configuration in (default, gpu):
        [queue] = configuration["Scheduling"]["SlurmQueues"]
        del queue["ComputeResources"], queue["ComputeSettings"]["LocalStorage"]["RootVolume"]["Size"]

    assert gpu == default
    assert cluster_configuration("enable_docker") == cluster_configuration("default")


@EVERY_PRESET
def test_only_placeholders_that_are_filled_stand_in_a_configuration(preset: str) -> None:
    used = set(PLACEHOLDER.findall(json.dumps(cluster_configuration(preset))))

    assert used == set(VALUES)


@EVERY_PRESET
def test_a_resource_of_the_examples_is_an_instance_type_in_the_queue_where_slurm_looks(preset: str) -> None:
    """Jobs name no queue, so all types are in the first one; each is a feature of its nodes."""
    names = tomllib.loads((EXAMPLES / "names.toml").read_text())["resources"]
    needed = {"cpu", "gpu"} if preset == "enable_gpu" else {"cpu"}

    assert len(queues(preset)) == 1
    assert {instance["InstanceType"] for instance in instances(preset)} == {
        names[name]["parallelcluster"] for name in needed
    }


@EVERY_PRESET
def test_nothing_runs_or_is_charged_while_no_job_waits_but_the_head_node(preset: str) -> None:
    configuration = cluster_configuration(preset)
    monitoring = configuration["Monitoring"]

    assert {instance["MinCount"] for instance in instances(preset)} == {0}
    assert all(0 < instance["MaxCount"] <= 10 for instance in instances(preset))
    assert configuration["Scheduling"]["SlurmSettings"]["ScaledownIdletime"] <= 10
    assert not monitoring["Dashboards"]["CloudWatch"]["Enabled"]
    assert not monitoring["Alarms"]["Enabled"]
    assert "SharedStorage" not in configuration
    assert "Database" not in configuration["Scheduling"]["SlurmSettings"]


@EVERY_PRESET
def test_disks_are_encrypted_and_the_role_s_credentials_guarded(preset: str) -> None:
    configuration = cluster_configuration(preset)
    volumes = [configuration["HeadNode"]["LocalStorage"]["RootVolume"]]
    volumes += [queue["ComputeSettings"]["LocalStorage"]["RootVolume"] for queue in queues(preset)]

    assert configuration["Imds"] == {"ImdsSupport": "v2.0"}
    assert configuration["HeadNode"]["Imds"] == {"Secured": True}
    assert all(volume["Encrypted"] and volume["VolumeType"] == "gp3" for volume in volumes)


@EVERY_PRESET
def test_machines_may_write_to_no_bucket_by_parallelcluster_s_own_grant(preset: str) -> None:
    """ParallelCluster's grant to write allows everything, including deleting the bucket."""
    configuration = cluster_configuration(preset)
    nodes = [configuration["HeadNode"], *queues(preset)]
    granted = [access for node in nodes for access in node["Iam"]["S3Access"]]

    assert all("EnableWriteAccess" not in access for access in granted)
    assert {access["BucketName"] for access in granted} == {"${setup_bucket}"}
    assert {access["KeyName"] for access in granted} == {"clusters/${cluster_name}/*"}


@EVERY_PRESET
def test_only_the_head_node_may_read_the_secret(preset: str) -> None:
    policies = [queue["Iam"]["AdditionalIamPolicies"] for queue in queues(preset)]

    assert "${secret_policy}" not in json.dumps(policies)


@EVERY_PRESET
def test_spot_is_one_line_that_waits_to_be_used(preset: str) -> None:
    text = shipped_preset(preset)[CLUSTER].decode()

    assert {queue["CapacityType"] for queue in queues(preset)} == {"ONDEMAND"}
    assert text.count("\n      # CapacityType: SPOT\n") == 1


def test_nothing_of_the_network_outlives_it() -> None:
    resources = network_template()["Resources"].values()

    assert not [
        resource for resource in resources if {"DeletionPolicy", "UpdateReplacePolicy"} & set(resource)
    ]


def test_each_subnet_has_the_routes_of_its_name() -> None:
    resources = network_template()["Resources"]
    pairs = {
        (resource["Properties"]["SubnetId"]["Ref"], resource["Properties"]["RouteTableId"]["Ref"])
        for resource in resources.values()
        if resource["Type"] == "AWS::EC2::SubnetRouteTableAssociation"
    }

    assert pairs == {("HeadNodeSubnet", "HeadNodeRoutes"), ("ComputeSubnet", "ComputeRoutes")}


def test_compute_nodes_have_a_public_address_only_without_a_nat_gateway() -> None:
    resources = network_template()["Resources"]

    assert resources["ComputeSubnet"]["Properties"]["MapPublicIpOnLaunch"] == {
        "Fn::If": ["HasNat", False, True]
    }
    assert resources["HeadNodeSubnet"]["Properties"]["MapPublicIpOnLaunch"] is True
    assert resources["ComputeDefaultRoute"]["Condition"] == "HasNoNat"


def test_the_policies_of_machines_name_one_bucket_and_one_secret() -> None:
    resources = network_template()["Resources"]
    store = resources["StorePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    [secret] = resources["SecretPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    actions = {action for statement in store for action in statement["Action"]}

    assert [statement["Resource"]["Fn::Sub"] for statement in store] == [
        "arn:${AWS::Partition}:s3:::${StoreBucket}",
        "arn:${AWS::Partition}:s3:::${StoreBucket}/${StorePrefix}*",
    ]
    assert not {action for action in actions if "*" in action or "Bucket" in action} - {
        "s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads",
    }  # fmt: skip
    assert (secret["Action"], secret["Resource"]) == ("secretsmanager:GetSecretValue", {"Ref": "SecretArn"})


@pytest.mark.parametrize(
    "policy",
    [iam_policy(), iam_policy(BOUNDARY), iam_boundary()],
    ids=["alone", "under a boundary", "boundary"],
)
def test_every_policy_fits_into_one_managed_policy(policy: bytes) -> None:
    assert len("".join(policy.decode().split())) <= MAX_POLICY_CHARACTERS


def test_under_a_boundary_no_role_gets_a_right_without_it() -> None:
    found = json.loads(iam_policy(BOUNDARY))["Statement"]
    allowed = [each for each in found if each["Effect"] == "Allow"]
    giving = [each for each in allowed if GIVE_RIGHTS & set(listed(each["Action"]))]

    assert {action for each in giving for action in listed(each["Action"])} == GIVE_RIGHTS
    assert all(each["Condition"]["StringEquals"] == {"iam:PermissionsBoundary": BOUNDARY} for each in giving)
    assert not [each for each in allowed if "PermissionsBoundary" in json.dumps(each["Action"])]


def test_the_policy_with_a_boundary_allows_nothing_else_and_loses_nothing() -> None:
    def actions(policy: bytes) -> set[str]:
        allowed = [each for each in json.loads(policy)["Statement"] if each["Effect"] == "Allow"]
        return {action for each in allowed for action in listed(each["Action"])}

    assert actions(iam_policy(BOUNDARY)) == actions(iam_policy())


def test_the_boundary_lets_machines_make_no_roles_and_policies() -> None:
    found = json.loads(iam_boundary())["Statement"]
    about_roles = [each for each in found if any(word.startswith("iam:") for word in listed(each["Action"]))]

    assert [(each["Action"], each["Resource"]) for each in about_roles] == [
        ("iam:PassRole", "arn:aws:iam::*:role/parallelcluster/*")
    ]


@EVERY_PRESET
def test_nobody_outside_may_log_in_unless_addresses_are_named(preset: str) -> None:
    assert cluster_configuration(preset)["HeadNode"]["Ssh"]["AllowedIps"] == "${allowed_cidr}"


def test_the_policy_of_the_builder_s_user_gives_no_service_away() -> None:
    for statement in statements():
        for action in listed(statement["Action"]):
            service, _, what = action.partition(":")
            is_narrow = all(resource != "*" for resource in listed(statement["Resource"]))

            assert service
            assert what != "*" or is_narrow, statement["Sid"]


def test_the_policy_of_the_builder_s_user_changes_only_roles_of_clusters() -> None:
    """Anyone who may grant rights to a role has those rights, so the policy limits the roles."""
    changing = [
        statement
        for statement in statements()
        for action in listed(statement["Action"])
        if action.startswith("iam:") and not action.startswith(("iam:Get", "iam:List", "iam:Simulate"))
    ]
    reach = {resource for statement in changing for resource in listed(statement["Resource"])}
    [attach] = [entry for entry in statements() if "iam:AttachRolePolicy" in listed(entry["Action"])]

    assert reach == {
        ROLES_OF_CLUSTERS,
        "arn:aws:iam::*:policy/cloudq/*",
        "arn:aws:iam::*:instance-profile/parallelcluster/*",
        "arn:aws:iam::*:role/aws-service-role/spot.amazonaws.com/*",
    }
    assert all(
        policy.endswith(("policy/cloudq/*", "policy/parallelcluster*")) or ":iam::aws:policy/" in policy
        for policy in attach["Condition"]["ArnLike"]["iam:PolicyARN"]
    )
