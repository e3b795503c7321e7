"""The model of a loaded configuration: frozen values that were checked before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from attrs import field, frozen

CONFIG_FILE = "config.toml"
FILE_SCHEME = "file://"

_DRIVE = r"/[A-Za-z]:"


def _nothing() -> Mapping[str, Mapping[str, str]]:
    return MappingProxyType({})


@frozen
class StoreConfig:
    """The place of the jobs: a bucket of an S3 service, or a directory."""

    endpoint_url: str
    """``file:///dir``, ``http(s)://…``, or empty for Amazon S3."""
    bucket: str = ""
    profile: str = ""
    region: str = ""
    addressing_style: str = "auto"
    prefix: str = ""
    """Empty, or ends with a slash."""
    sse: str = ""
    """The server-side encryption to request; empty for the bucket's own setting."""
    sse_kms_key_id: str = ""
    checksums: str = "auto"
    allow_plain_http: bool = False

    @property
    def in_words(self) -> str:
        """A description of the store for people."""
        if (directory := self.directory) is not None:
            return f"the directory {directory / self.prefix if self.prefix else directory}"
        below = f", below {self.prefix}" if self.prefix else ""
        return f"bucket {self.bucket} of {self.endpoint_url or 'Amazon S3'}{below}"

    @property
    def directory(self) -> Path | None:
        """The directory of a ``file://`` store, including the bucket below it if any; None for S3."""
        if not self.endpoint_url.startswith(FILE_SCHEME):
            return None
        path = unquote(self.endpoint_url.removeprefix(FILE_SCHEME))
        root = Path(path[1:] if re.match(_DRIVE, path) else path)
        return root / self.bucket if self.bucket else root


@frozen
class AgentConfig:
    """The settings of this machine's agent."""

    name: str = "local"
    profile: str = "local"
    num_procs: int = 8
    daemon_interval: float = 5.0
    keep_days: float = 1.0
    unpinned: bool = True
    handicap: float = 0.0
    accept_weak_store: bool = False
    allow_root: bool = False


@frozen
class ClientConfig:
    """The name of this user's client in the records that it writes; empty if none is configured."""

    name: str = ""


@frozen
class LogConfig:
    """The settings of the log."""

    level: str = "INFO"


@frozen
class Config:
    """The configuration of one machine."""

    home: Path
    """The directory of configuration, logs, cache and, by default, the store."""
    store: StoreConfig
    agent: AgentConfig = AgentConfig()
    client: ClientConfig = ClientConfig()
    log: LogConfig = LogConfig()
    projects: Mapping[str, Mapping[str, str]] = field(factory=_nothing)
    """Project name → system → the project's name on that system."""
    resources: Mapping[str, Mapping[str, str]] = field(factory=_nothing)
    """Resource name → system → the resource's name on that system, or options with ``{n}``."""
    path: Path | None = None
    """The file that was read, if any."""
    notices: tuple[str, ...] = ()
    """Messages for the user, printed on stderr; none of them is an error."""

    @property
    def log_directory(self) -> Path:
        """The directory of the agent's logs."""
        return self.home / "log"
