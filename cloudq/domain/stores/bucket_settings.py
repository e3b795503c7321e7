"""What the owner of a bucket has set for it, as far as it concerns jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from attrs import field, frozen

KEPT = ("jobs/", "queue/", "systems/", "history/")
"""Where nothing may vanish by itself."""


@frozen
class LifecycleRule:
    """A rule that is switched on; *prefix* is the key prefix it is for, empty for the whole bucket."""

    name: str
    prefix: str = ""
    expires: str = ""
    """When objects go, such as ``after 30 days``; empty if the rule deletes none."""
    archives: str = ""
    """The storage class from which objects cannot be read at once; empty: none."""
    aborts_uploads: str = ""
    """When unfinished uploads are aborted; empty: never."""
    expires_old_versions: bool = False
    has_other_filters: bool = False
    """Whether it is for some of the objects only, such as those with a tag."""


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@frozen
class BucketSettings:
    """Lifecycle rules, Object Lock and encryption of a bucket."""

    rules: tuple[LifecycleRule, ...] = ()
    object_lock: str = ""
    """How long objects are kept against deletion, such as ``GOVERNANCE, 30 days``; empty: not at all."""
    is_versioned: bool = False
    encryption: str = ""
    """Such as ``AES256`` or ``aws:kms``; empty: the service's own default."""
    unread: Mapping[str, str] = field(factory=_nothing)
    """Settings that could not be read, and the service's words."""


def threatened(rule: LifecycleRule, prefix: str, kept: Iterable[str] = KEPT) -> tuple[str, ...]:
    """Which of *kept*, below the store's *prefix*, the *rule* may be for."""
    root = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    places = {each: root + each for each in kept}
    return tuple(
        each
        for each, place in places.items()
        if place.startswith(rule.prefix) or rule.prefix.startswith(place)
    )
