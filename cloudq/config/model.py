"""The model of a loaded configuration: frozen values that were checked before.

A field made by `setting` describes a key of the file completely: type, default, check and help text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from attrs import field, frozen

from cloudq.config import checks
from cloudq.toml_tables import Check, accept, one_of

CONFIG_FILE = "config.toml"
FILE_SCHEME = "file://"

_DRIVE = r"/[A-Za-z]:"


def setting(default: Any, words: str, check: Check = accept, example: str = "") -> Any:
    """Describe a key: a default of the type that its values have, a help text, and the check of its values.

    The file that ``cloudqcli init`` writes shows the *example* if the default is empty.
    """
    return field(default=default, metadata={"help": words, "check": check, "example": example})


def _nothing() -> Mapping[str, Mapping[str, str]]:
    return MappingProxyType({})


# fmt: off
@frozen
class StoreConfig:
    """The place of the jobs: a bucket of an S3 service, or a directory."""

    endpoint_url: str = setting("",
        "Location of the jobs: file:///dir for a directory, http(s)://… for an S3 service. Default: "
        "Amazon S3 if a bucket is given, otherwise the directory store/ next to this file.",
        checks.endpoint_url, "https://s3.example.com")
    bucket: str = setting("",
        "The bucket, which must exist. With file:///dir, an optional directory below it.",
        checks.bucket, "my-jobs")
    profile: str = setting("",
        "Profile in ~/.aws/credentials that contains the keys. Never put keys into this file.",
        checks.word, "cloudq")
    region: str = setting("",
        "Region of the bucket, if the service requires one.", checks.region, "us-east-1")
    addressing_style: str = setting("auto",
        "Whether requests name the bucket in the path or in the host name: auto, path or virtual.",
        one_of("auto", "path", "virtual"))
    prefix: str = setting("",
        "Put everything below this prefix of the bucket.", checks.prefix, "team/cloudq")
    """Empty, or ends with a slash."""
    sse: str = setting("",
        "Server-side encryption to request: AES256, aws:kms or aws:kms:dsse. Default: the setting of the "
        "bucket.",
        one_of("", "AES256", "aws:kms", "aws:kms:dsse"), "aws:kms")
    sse_kms_key_id: str = setting("",
        "The key for aws:kms: its id, ARN or alias. Default: the account's own key for S3.",
        checks.word, "alias/my-jobs")
    checksums: str = setting("auto",
        "When objects are written with a checksum: auto (after the service requests one) or always.",
        one_of("auto", "always"))
    allow_plain_http: bool = setting(False,
        "Whether an http:// address other than this machine's is allowed. Anyone on the network path can "
        "then read results and replace scripts.")

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

    name: str = setting("local",
        "Name of this system, as jobs use it. Run one agent per name.", checks.system)
    profile: str = setting("local",
        "Profile of this system: local, slurm, gridengine, pbs, parallelcluster, abci, abci2, or the name "
        "of your own profile.",
        checks.system)
    num_procs: int = setting(8,
        "How many submit commands may run at once.", checks.between(1, 1024))
    daemon_interval: float = setting(5.0,
        "Seconds between two cycles of the agent.", checks.between(0.1, 3600))
    keep_days: float = setting(1.0,
        "Days to keep a work directory after its outputs are in the store.", checks.between(0, 3650))
    unpinned: bool = setting(True,
        "Whether to take jobs that name no system.")
    handicap: float = setting(0.0,
        "Seconds to let other systems claim first if a job names no system.", checks.between(0, 3600))
    accept_weak_store: bool = setting(False,
        "Whether to run jobs on a store that ignores conditional writes. Safe only for the agents of a "
        "single home; docs/configuration.md describes what is lost.")
    allow_root: bool = setting(False,
        "Whether the agent may run as root. Then every job runs as root, too.")


@frozen
class ClientConfig:
    """The name of this user's client in the records that it writes; empty if none is configured."""

    name: str = setting("",
        "Name of this machine in the records of jobs that it submits.", checks.system_if_any, "my-laptop")


@frozen
class LogConfig:
    """The settings of the log."""

    level: str = setting("INFO",
        "Log level: DEBUG, INFO, WARNING, ERROR or CRITICAL.", checks.level)
# fmt: on


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
