"""The bucket from which nodes get their scripts and cloudq: one per account and region."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import frozen
from botocore.exceptions import ClientError

from cloudq.adapters.parallelcluster.aws import Aws, as_cloud_problem, code_of
from cloudq.domain.errors import CloudRefused

if TYPE_CHECKING:
    from mypy_boto3_s3.literals import BucketLocationConstraintType

_ORIGINAL_REGION = "us-east-1"
"""The one region that must not be named when a bucket is created in it."""


@frozen
class SetupBucket:
    """The setup bucket; requests name its owner, so that another account's bucket is never used."""

    aws: Aws
    owner: str
    region: str

    @property
    def name(self) -> str:
        """The bucket's name: derived from account and region, so it need not be noted anywhere."""
        return f"cloudq-setup-{self.owner}-{self.region}"

    def fill(self, prefix: str, files: Mapping[str, bytes]) -> None:
        """Put *files* below *prefix*; create the bucket if it is missing."""
        self._make()
        with as_cloud_problem(f"bucket {self.name}"):
            for name, content in files.items():
                self.aws.s3.put_object(
                    Bucket=self.name, Key=f"{prefix}/{name}", Body=content, ExpectedBucketOwner=self.owner
                )

    def clear(self, prefix: str) -> None:
        """Delete everything below *prefix*; the bucket stays."""
        s3 = self.aws.s3
        with as_cloud_problem(f"bucket {self.name}"), suppress(s3.exceptions.NoSuchBucket):
            pages = s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=f"{prefix}/", ExpectedBucketOwner=self.owner
            )
            for listed in (entry for page in pages for entry in page.get("Contents", [])):
                s3.delete_object(Bucket=self.name, Key=listed["Key"], ExpectedBucketOwner=self.owner)

    def _make(self) -> None:
        s3 = self.aws.s3
        with as_cloud_problem(f"bucket {self.name}"):
            if not self._is_there():
                with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
                    self._create()
            s3.put_public_access_block(
                Bucket=self.name,
                ExpectedBucketOwner=self.owner,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            )

    def _is_there(self) -> bool:
        try:
            self.aws.s3.head_bucket(Bucket=self.name, ExpectedBucketOwner=self.owner)
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchBucket"}:
                return False
            if code_of(error) in {"403", "Forbidden", "AccessDenied"}:
                raise CloudRefused(
                    f"bucket {self.name} belongs to another account, or you may not use it: "
                    "nothing was uploaded"
                ) from error
            raise
        return True

    def _create(self) -> None:
        if self.region == _ORIGINAL_REGION:
            self.aws.s3.create_bucket(Bucket=self.name)
            return
        region: BucketLocationConstraintType = self.region  # type: ignore[assignment]
        self.aws.s3.create_bucket(Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": region})
