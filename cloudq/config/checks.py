"""Checks of single values; each returns the value as it is kept, or raises `ValueError`.

The messages describe valid values; `cloudq.toml_tables` adds the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import checked_system
from cloudq.toml_tables import Noted, shown

# Compiled on first use, so that a client does not wait for patterns that it does not need.
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_IP_ADDRESS = r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+"
_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_REGION = r"[A-Za-z0-9][A-Za-z0-9-]{0,62}"
_PREFIX_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"

_SECRET_KEYS = (
    "secret",
    "passw",
    "credential",
    "accesskey",
    "apikey",
    "accesstoken",
    "authtoken",
    "sessiontoken",
)
_KEY_ID = r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
_NO_SECRETS = (
    "secrets do not belong here: keep keys in ~/.aws/credentials, name their profile in [store] profile, "
    "and replace a key that others may have read"
)

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def secret_problem(name: str, value: object) -> str:
    """Return why a key and its value may not be kept in a configuration; empty if they may."""
    return _NO_SECRETS if _holds_secret(name, value) else ""


def _holds_secret(name: str, value: object) -> bool:
    parts = [(name, value)]  # not recursive: a file may nest its tables thousands deep
    while parts:
        name, value = parts.pop()
        plain = name.lower().replace("_", "").replace("-", "")
        if any(word in plain for word in _SECRET_KEYS):
            return True
        if isinstance(value, dict):
            parts.extend(value.items())
        elif isinstance(value, list):
            parts.extend(("", item) for item in value)
        elif isinstance(value, str) and re.search(_KEY_ID, value):
            return True
    return False


def word(value: str) -> str:
    """Check a printable text without blanks around it."""
    if value != value.strip() or not value.isprintable():
        raise ValueError("has blanks around it or characters that cannot be printed")
    return value


def system(value: str) -> str | Noted:
    """Check a system's name, and convert it to lower case if needed."""
    lowered = value.lower()
    try:
        checked_system(lowered)
    except InvalidInput as problem:
        raise ValueError(str(problem)) from problem
    if value == lowered:
        return value
    return Noted(lowered, f"names are lower case: {value!r} is taken as {lowered!r}")


def system_if_any(value: str) -> str | Noted:
    """Check a system's name, or an empty text."""
    return system(value) if value else value


def level(value: str) -> str:
    """Check a log level, in any case; return it in upper case."""
    upper = value.upper()
    if upper not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}, not {value!r}")
    return upper


def mapped(kind: str) -> Callable[[object], str]:
    """Return a check for the name, or the options, that a *kind* (project or resource) has on a system."""

    def check(value: object) -> str:
        if not isinstance(value, str) or not value.isprintable():
            raise ValueError(f"must be a printable text in quotes, not {shown(value)}")
        if value.startswith("-"):
            _check_options(kind, value)
        return value

    return check


def _check_options(kind: str, value: str) -> None:
    from cloudq.domain.scripts.system_mapping import SystemMapping  # noqa: PLC0415  most files have no options

    problems = [text.removeprefix(f"{kind} ") for text in SystemMapping("", **{kind: value}).problems()]
    if problems:
        raise InvalidInput(problems)


def between(low: float, high: float) -> Callable[[float], float]:
    """Return a check for a number from *low* to *high*."""

    def check(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}, not {shown(value)}")
        return value

    return check


def bucket(value: str) -> str:
    """Check a bucket's name by Amazon's rules, which every S3 service accepts; empty is checked later."""
    if not value:
        return value
    if re.fullmatch(_BUCKET, value) is None or ".." in value:
        raise ValueError(
            f"{value!r} is not a bucket name: 3 to 63 lower-case letters, digits, '-' and '.', "
            "beginning and ending with a letter or digit"
        )
    if re.fullmatch(_IP_ADDRESS, value):
        raise ValueError(f"{value!r} is not a bucket name: it looks like an IP address")
    if value.startswith(_RESERVED_STARTS) or value.endswith(_RESERVED_ENDS):
        raise ValueError(f"{value!r} is not a bucket name: its beginning or end is reserved by S3")
    return value


def region(value: str) -> str:
    """Check a region's name."""
    if value and re.fullmatch(_REGION, value) is None:
        raise ValueError(f"{value!r} is not a region such as us-east-1")
    return value


def prefix(value: str) -> str:
    """Check a prefix of keys: plain parts between slashes; return it with one slash at its end."""
    stripped = value.strip("/")
    if not stripped:
        return ""
    bad = [part for part in stripped.split("/") if re.fullmatch(_PREFIX_PART, part) is None]
    if bad:
        raise ValueError(
            f"{value!r} is not a prefix such as team/cloudq: parts of letters, digits, '-', '_' and '.', "
            "none empty or beginning with '.'"
        )
    return stripped + "/"


def endpoint_url(value: str) -> str:
    """Check ``file:///dir``, ``http(s)://host[:port][/path]`` or an empty text."""
    if not value:
        return value
    scheme, separator, address = value.partition("://")
    check = _SCHEMES.get(scheme.lower())
    if not separator or check is None:
        raise ValueError(f"{value!r} is neither file:///dir nor http(s)://host")
    return check(scheme.lower(), address)


def _file_url(_scheme: str, address: str) -> str:
    path = address.removeprefix("localhost")
    if not path.startswith(("/", "~/")) or not path.isprintable():
        raise ValueError(
            f"'file://{address}' does not name a directory: write file:///dir, or file://~/dir in your home"
        )
    if ".." in path.split("/"):
        raise ValueError(f"'file://{address}' has '..' in it")
    return f"file://{path}"


def _http_url(scheme: str, address: str) -> str:
    url = f"{scheme}://{address}"
    if "@" in address:
        raise ValueError("holds a user name or password: name a profile of ~/.aws/credentials instead")
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL: {error}") from error
    if not usable or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not http(s)://host[:port]")
    return url.rstrip("/")


_SCHEMES = {"file": _file_url, "http": _http_url, "https": _http_url}
