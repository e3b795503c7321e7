"""The real `CloudAccount`: everything that a cluster needs from an AWS account besides its stacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from cloudq.adapters.parallelcluster.aws import Aws, as_cloud_problem, code_of, words_of
from cloudq.adapters.parallelcluster.setup_bucket import SetupBucket
from cloudq.domain.clusters.cluster import Part
from cloudq.domain.clusters.preset import CLUSTER_TAG
from cloudq.domain.clusters.request import JobBucket
from cloudq.domain.errors import CloudProblem, CloudUnavailable, ConfigProblem, InvalidInput
from cloudq.ports.cluster_provisioner import Identity, SetupPlace

_LOOK = Config(retries={"total_max_attempts": 2, "mode": "standard"}, connect_timeout=5, read_timeout=10)


class AwsAccount:
    """An AWS account, in the region of its profile."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def identity(self) -> Identity:
        return Identity(self._account, self._aws.region)

    @cached_property
    def _account(self) -> str:
        with as_cloud_problem("your AWS account"):
            return self._aws.sts.get_caller_identity()["Account"]

    def has_keypair(self, name: str) -> bool:
        with as_cloud_problem("key pairs"):
            try:
                return bool(self._aws.ec2.describe_key_pairs(KeyNames=[name])["KeyPairs"])
            except ClientError as error:
                if code_of(error) == "InvalidKeyPair.NotFound":
                    return False
                raise

    def offers(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        with as_cloud_problem("instance types"):
            zones = self._aws.ec2.describe_availability_zones(
                Filters=[
                    {"Name": "state", "Values": ["available"]},
                    {"Name": "zone-type", "Values": ["availability-zone"]},
                ]
            )["AvailabilityZones"]
            by_zone: dict[str, set[str]] = {zone["ZoneName"]: set() for zone in zones if "ZoneName" in zone}
            pages = self._aws.ec2.get_paginator("describe_instance_type_offerings").paginate(
                LocationType="availability-zone",
                Filters=[{"Name": "instance-type", "Values": list(types)}] if types else [],
            )
            for offer in (offer for page in pages for offer in page["InstanceTypeOfferings"]):
                if offer.get("Location") in by_zone:
                    by_zone[offer["Location"]].add(offer["InstanceType"])
        return {zone: frozenset(kinds) for zone, kinds in by_zone.items()}

    def own_bucket_region(self, bucket: str) -> str | None:
        with as_cloud_problem(f"bucket {bucket}"):
            try:
                self._aws.s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=self._account)
                place = self._aws.s3.get_bucket_location(Bucket=bucket, ExpectedBucketOwner=self._account)
            except ClientError as error:
                code = code_of(error)
                if code in {"404", "NoSuchBucket"}:
                    raise InvalidInput(f"bucket {bucket!r} does not exist in Amazon S3") from error
                if code in {"403", "AccessDenied", "Forbidden"}:
                    return None
                raise
        return cast("str | None", place.get("LocationConstraint")) or "us-east-1"

    def look_at_bucket(self, store: JobBucket) -> None:
        keys = _session(store.profile)
        client = keys.client(
            "s3",
            endpoint_url=store.endpoint_url or None,
            region_name=store.region or keys.region_name or "us-east-1",
            config=_LOOK,
        )
        try:
            client.head_bucket(Bucket=store.bucket)
        except ClientError as error:
            code = code_of(error)
            if code not in {"400", "401", "403", "404", "NoSuchBucket", "AccessDenied", "Forbidden"}:
                raise CloudUnavailable(words_of(error) or code) from error
            raise InvalidInput(
                f"bucket {store.bucket!r}: the keys of profile {store.profile!r} give no access at "
                f"{store.endpoint_url or 'Amazon S3'} ({code}): check bucket, endpoint and keys"
            ) from error
        except BotoCoreError as error:
            raise CloudUnavailable(str(error)) from error
        finally:
            client.close()

    def place_files(self, cluster: str, files: Mapping[str, bytes]) -> SetupPlace:
        place = self.setup_place(cluster)
        self._setup_bucket.fill(place.prefix, files)
        return place

    def setup_place(self, cluster: str) -> SetupPlace:
        return SetupPlace(self._setup_bucket.name, f"clusters/{cluster}")

    @property
    def _setup_bucket(self) -> SetupBucket:
        return SetupBucket(self._aws, self._account, self._aws.region)

    def keep_secret(self, cluster: str, profile: str) -> str:
        return self._put_secret(cluster, _keys_of(profile))

    def forget(self, cluster: str) -> None:
        self._forget_secret(cluster)
        self._setup_bucket.clear(f"clusters/{cluster}")

    def leftovers(self, cluster: str) -> tuple[str, ...]:
        prefix = f"/aws/parallelcluster/{Part.NODES.stack_of(cluster)}-"
        with suppress(CloudProblem), as_cloud_problem("logs"):
            groups = self._aws.logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
            return tuple(f"log group {group.get('logGroupName', '')}" for group in groups)
        return ()

    # Secrets ---------------------------------------------------------------------------------

    def _put_secret(self, cluster: str, keys: str) -> str:
        name, secrets = _secret_name(cluster), self._aws.secrets
        with as_cloud_problem(f"secret {name}"):
            try:
                return secrets.create_secret(
                    Name=name, SecretString=keys, Tags=[{"Key": CLUSTER_TAG, "Value": cluster}]
                )["ARN"]
            except secrets.exceptions.ResourceExistsException:
                return secrets.put_secret_value(SecretId=name, SecretString=keys)["ARN"]
            except secrets.exceptions.InvalidRequestException:  # it is marked for deletion
                secrets.restore_secret(SecretId=name)
                return secrets.put_secret_value(SecretId=name, SecretString=keys)["ARN"]

    def _forget_secret(self, cluster: str) -> None:
        name, secrets = _secret_name(cluster), self._aws.secrets
        with as_cloud_problem(f"secret {name}"), suppress(secrets.exceptions.ResourceNotFoundException):
            secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def _secret_name(cluster: str) -> str:
    return f"cloudq/{cluster}/store"


def _session(profile: str) -> boto3.Session:
    try:
        return boto3.Session(profile_name=profile)
    except ProfileNotFound as error:
        raise InvalidInput(f"AWS profile {profile!r} does not exist in ~/.aws") from error


def _keys_of(profile: str) -> str:
    """Return the text of the secret. Raises `ConfigProblem` if the keys are missing or expire."""
    with as_cloud_problem(f"profile {profile}"):
        credentials = _session(profile).get_credentials()
        keys = credentials.get_frozen_credentials() if credentials else None
    if keys is None or not keys.access_key or not keys.secret_key:
        raise ConfigProblem(f"AWS profile {profile!r} has no keys: add them to ~/.aws/credentials")
    if keys.token:
        raise ConfigProblem(
            f"AWS profile {profile!r} has keys that expire, and the cluster would lose its jobs with them: "
            "name one with permanent keys, or use a bucket of this account, which needs no keys"
        )
    return json.dumps({"aws_access_key_id": keys.access_key, "aws_secret_access_key": keys.secret_key})
