"""Test reading a bucket's settings from an S3 service, and interpreting its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloudq.adapters.object_stores.s3.settings import S3SettingsReader
from cloudq.domain.stores.bucket_settings import BucketSettings, LifecycleRule


class Service:
    """A service that gives the answers of a test, or the error of a bucket without that setting."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**_: Any) -> Any:
            answer = self._answers.get(name, NOT_SET.get(name, {}))
            if isinstance(answer, str):
                raise ClientError({"Error": {"Code": answer, "Message": "no"}}, name)
            return answer

        return call


NOT_SET = {
    "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
    "get_object_lock_configuration": "ObjectLockConfigurationNotFoundError",
    "get_bucket_encryption": "ServerSideEncryptionConfigurationNotFoundError",
}


def read(**answers: Any) -> BucketSettings:
    return S3SettingsReader("bucket", lambda call: call(Service(**answers))).settings()  # type: ignore[arg-type]


def rules(*told: Mapping[str, Any]) -> tuple[LifecycleRule, ...]:
    answer = {"Rules": [{"Status": "Enabled", **each} for each in told]}
    return read(get_bucket_lifecycle_configuration=answer).rules


def test_a_bucket_without_settings_has_none_and_hides_none() -> None:
    assert read() == BucketSettings()


@pytest.mark.parametrize("code", ["AccessDenied", "NotImplemented", "MethodNotAllowed", "InternalError"])
def test_what_is_refused_could_not_be_read(code: str) -> None:
    found = read(
        get_bucket_lifecycle_configuration=code,
        get_object_lock_configuration=code,
        get_bucket_versioning=code,
        get_bucket_encryption=code,
    )

    assert list(found.unread) == ["lifecycle rules", "Object Lock", "versioning", "encryption"]
    assert all(code in words for words in found.unread.values())


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"ID": "a", "Filter": {"Prefix": "jobs/"}, "Expiration": {"Days": 30}},
         LifecycleRule("a", "jobs/", expires="after 30 days")),
        ({"ID": "b", "Prefix": "old/", "Expiration": {"Date": datetime(2027, 1, 2, tzinfo=UTC)}},
         LifecycleRule("b", "old/", expires="on 2027-01-02")),
        ({"Filter": {"And": {"Prefix": "x", "Tags": [{"Key": "k"}]}}, "Expiration": {"Days": 1}},
         LifecycleRule("unnamed", "x", expires="after 1 days", has_other_filters=True)),
        ({"ID": "c", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}}, LifecycleRule("c")),
        ({"ID": "d", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
         LifecycleRule("d", aborts_uploads="after 7 days")),
        ({"ID": "e", "Transitions": [{"Days": 1, "StorageClass": "DEEP_ARCHIVE"}]},
         LifecycleRule("e", archives="DEEP_ARCHIVE")),
        ({"ID": "f", "NoncurrentVersionExpiration": {"NoncurrentDays": 3}},
         LifecycleRule("f", expires_old_versions=True)),
    ],
)  # fmt: skip
def test_a_rule_is_understood(told: Mapping[str, Any], rule: LifecycleRule) -> None:
    assert rules(told) == (rule,)


def test_a_rule_that_is_switched_off_is_none() -> None:
    assert rules({"ID": "a", "Status": "Disabled", "Expiration": {"Days": 1}}) == ()


def test_object_lock_versions_and_encryption_are_understood() -> None:
    kept = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 5}}
    lock = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": kept}}
    by = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    found = read(
        get_object_lock_configuration=lock,
        get_bucket_versioning={"Status": "Enabled"},
        get_bucket_encryption={"ServerSideEncryptionConfiguration": {"Rules": [by]}},
    )

    assert (found.object_lock, found.is_versioned, found.encryption) == (
        "GOVERNANCE, 5 days",
        True,
        "aws:kms",
    )
