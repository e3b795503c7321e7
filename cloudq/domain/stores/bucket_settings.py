"""The settings that the owner of a bucket has made, as far as they affect jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from attrs import field, frozen

KEPT = ("jobs/", "queue/", "systems/", "history/")
"""The prefixes under which no object may disappear by itself."""


@frozen
class LifecycleRule:
    """An enabled lifecycle rule for the keys that begin with *prefix*, or, if it is empty, for all keys."""

    name: str
    prefix: str = ""
    expires: str = ""
    """The time after which objects are deleted, such as ``after 30 days``; empty if the rule deletes none."""
    archives: str = ""
    """The storage class from which objects cannot be read at once; empty if the rule archives none."""
    aborts_uploads: str = ""
    """The time after which unfinished uploads are aborted; empty: never."""
    expires_old_versions: bool = False
    has_other_filters: bool = False
    """Whether the rule applies to only some of the objects, such as those with a tag."""


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@frozen
class BucketSettings:
    """Lifecycle rules, Object Lock and encryption of a bucket."""

    rules: tuple[LifecycleRule, ...] = ()
    object_lock: str = ""
    """How long objects are protected from deletion, such as ``GOVERNANCE, 30 days``; empty: not at all."""
    is_versioned: bool = False
    encryption: str = ""
    """The encryption, such as ``AES256`` or ``aws:kms``; empty: the service's default."""
    unread: Mapping[str, str] = field(factory=_nothing)
    """Settings that could not be read, each with the service's own words."""


def threatened(rule: LifecycleRule, prefix: str, kept: Iterable[str] = KEPT) -> tuple[str, ...]:
    """Return those prefixes in *kept*, below the store's *prefix*, to which *rule* may apply."""
    root = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    places = {kept_prefix: root + kept_prefix for kept_prefix in kept}
    return tuple(
        kept_prefix
        for kept_prefix, place in places.items()
        if place.startswith(rule.prefix) or rule.prefix.startswith(place)
    )
