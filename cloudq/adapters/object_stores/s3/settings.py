"""Reading the settings of a bucket, and parsing the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from cloudq.adapters.object_stores.s3.client import FAILURES, error_code, judge
from cloudq.domain.stores.bucket_settings import BucketSettings, LifecycleRule

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NOT_SET = frozenset({
    "NoSuchLifecycleConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "NoSuchObjectLockConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
})  # fmt: skip
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})

Answer = Mapping[str, Any]


@frozen
class S3SettingsReader:
    """The port `SettingsReader` for one bucket of an S3 service."""

    bucket: str
    attempt: Callable[[Callable[[S3Client], Answer]], Answer]
    """A function that makes a request with a client."""

    def settings(self) -> BucketSettings:
        """Read the settings with four requests; those that are refused are listed in ``unread``."""
        unread: dict[str, str] = {}
        bucket = self.bucket
        lifecycle = self._ask(
            unread, "lifecycle rules", lambda s3: s3.get_bucket_lifecycle_configuration(Bucket=bucket)
        )
        lock = self._ask(unread, "Object Lock", lambda s3: s3.get_object_lock_configuration(Bucket=bucket))
        versioning = self._ask(unread, "versioning", lambda s3: s3.get_bucket_versioning(Bucket=bucket))
        encryption = self._ask(unread, "encryption", lambda s3: s3.get_bucket_encryption(Bucket=bucket))
        return BucketSettings(
            rules=tuple(
                _rule(rule) for rule in lifecycle.get("Rules", ()) if rule.get("Status") == "Enabled"
            ),
            object_lock=_lock(lock.get("ObjectLockConfiguration", {})),
            is_versioned=versioning.get("Status") == "Enabled",
            encryption=_encryption(encryption.get("ServerSideEncryptionConfiguration", {})),
            unread=unread,
        )

    def _ask(self, unread: dict[str, str], what: str, call: Callable[[S3Client], Answer]) -> Answer:
        """Return the answer; an empty one for a setting that is not set or could not be read."""
        try:
            return self.attempt(call)
        except FAILURES as error:
            if error_code(error) not in _NOT_SET:
                unread[what] = judge(error)[1].strip()
            return {}


def _rule(rule: Answer) -> LifecycleRule:
    chosen = rule.get("Filter") or {}
    both = chosen.get("And") or {}
    others = {*chosen, *both} - {"Prefix", "And"}
    return LifecycleRule(
        name=str(rule.get("ID") or "unnamed"),
        prefix=str(chosen.get("Prefix") or both.get("Prefix") or rule.get("Prefix") or ""),
        expires=_when(rule.get("Expiration") or {}),
        archives=_archive(rule),
        aborts_uploads=_when(rule.get("AbortIncompleteMultipartUpload") or {}),
        expires_old_versions=bool(rule.get("NoncurrentVersionExpiration")),
        has_other_filters=bool(others),
    )


def _when(setting: Answer) -> str:
    days = setting.get("Days", setting.get("DaysAfterInitiation"))
    if days is not None:
        return f"after {days} days"
    return f"on {setting['Date']:%Y-%m-%d}" if setting.get("Date") else ""


def _archive(rule: Answer) -> str:
    classes = {str(transition.get("StorageClass")) for transition in rule.get("Transitions") or ()}
    return ", ".join(sorted(classes & _ARCHIVES))


def _lock(setting: Answer) -> str:
    if setting.get("ObjectLockEnabled") != "Enabled":
        return ""
    kept = (setting.get("Rule") or {}).get("DefaultRetention") or {}
    if not kept:
        return "enabled, without a default retention"
    time = f"{kept['Days']} days" if kept.get("Days") else f"{kept.get('Years')} years"
    return f"{kept.get('Mode')}, {time}"


def _encryption(setting: Answer) -> str:
    rules = [rule.get("ApplyServerSideEncryptionByDefault") or {} for rule in setting.get("Rules") or ()]
    return ", ".join(str(rule.get("SSEAlgorithm")) for rule in rules if rule.get("SSEAlgorithm"))
