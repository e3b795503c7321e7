"""Object stores that only one site can reach: warn when a user chooses one, not when a job hangs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloudq.config.model import StoreConfig

INSIDE_ONLY: Mapping[str, str] = MappingProxyType({"s3.v3.abci.ai": "ABCI"})
"""The hosts of such services, each with the only site that can reach it."""


def notices_of_reach(store: StoreConfig) -> tuple[str, ...]:
    """Return notices about the places from which *store* can be reached. Sends nothing."""
    from urllib.parse import urlsplit  # noqa: PLC0415  only `cloudqcli init` asks

    host = (urlsplit(store.endpoint_url).hostname or "").rstrip(".")
    return tuple(
        f"{known} can be reached only from inside {site}: clients and agents elsewhere cannot use this "
        "store. If you have any, choose a bucket that all of them can reach, for example in Amazon S3."
        for known, site in INSIDE_ONLY.items()
        if host == known or host.endswith(f".{known}")
    )
