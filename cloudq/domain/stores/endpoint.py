"""Addresses of object stores."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

PLAIN_HTTP = (
    "http:// sends scripts, results and the names of keys unencrypted, and anyone on the network path can "
    "replace a script: use https://, or set allow_plain_http = true in [store] on a network that you trust"
)


def is_plain_http(url: str) -> bool:
    """Return whether requests to *url* leave this machine unencrypted."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
