"""The table of all configuration keys, which drives the rest of the package."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from cloudq.config import checks

type_names = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number"}

Value = str | bool | int | float


@frozen
class Key:
    """A configuration key: its type, its default, the check of its value, and its help text."""

    section: str
    name: str
    type: type
    default: Value
    help: str
    check: Callable[..., Value | checks.Lowered] = checks.anything
    example: str = ""
    """The value in the file that ``cloudqcli init`` writes, if the default is empty."""

    @property
    def dotted(self) -> str:
        """The key as ``section.name``, as `load_config` takes overrides."""
        return f"{self.section}.{self.name}"

    @property
    def place(self) -> str:
        """The key as ``[section] name``, as messages show it."""
        return f"[{self.section}] {self.name}"


KEYS = (
    Key(
        "store", "endpoint_url", str, "",
        "Location of the jobs: file:///dir for a directory, http(s)://… for an S3 service. Default: "
        "Amazon S3 if a bucket is given, otherwise the directory store/ next to this file.",
        checks.endpoint_url, "https://s3.example.com",
    ),
    Key(
        "store", "bucket", str, "",
        "The bucket, which must exist. With file:///dir, an optional directory below it.",
        checks.bucket, "my-jobs",
    ),
    Key(
        "store", "profile", str, "",
        "Profile in ~/.aws/credentials that contains the keys. Never put keys into this file.",
        checks.word, "cloudq",
    ),
    Key("store", "region", str, "", "Region of the bucket, if the service requires one.",
        checks.region, "us-east-1"),
    Key(
        "store", "addressing_style", str, "auto",
        "Whether requests name the bucket in the path or in the host name: auto, path or virtual.",
        checks.one_of("auto", "path", "virtual"),
    ),
    Key("store", "prefix", str, "", "Put everything below this prefix of the bucket.",
        checks.prefix, "team/cloudq"),
    Key(
        "store", "sse", str, "",
        "Server-side encryption to request: AES256, aws:kms or aws:kms:dsse. Default: the setting of the "
        "bucket.",
        checks.one_of("", "AES256", "aws:kms", "aws:kms:dsse"), "aws:kms",
    ),
    Key(
        "store", "sse_kms_key_id", str, "",
        "The key for aws:kms: its id, ARN or alias. Default: the account's own key for S3.",
        checks.word, "alias/my-jobs",
    ),
    Key(
        "store", "checksums", str, "auto",
        "When objects are written with a checksum: auto (after the service requests one) or always.",
        checks.one_of("auto", "always"),
    ),
    Key(
        "store", "allow_plain_http", bool, False,
        "Whether an http:// address other than this machine's is allowed. Anyone on the network path can "
        "then read results and replace scripts.",
    ),
    Key("agent", "name", str, "local",
        "Name of this system, as jobs use it. Run one agent per name.", checks.system),
    Key(
        "agent", "profile", str, "local",
        "Profile of this system: local, slurm, gridengine, pbs, parallelcluster, abci, abci2, or the name "
        "of your own profile.",
        checks.system,
    ),
    Key("agent", "num_procs", int, 8, "How many submit commands may run at once.",
        checks.between(1, 1024)),
    Key("agent", "daemon_interval", float, 5, "Seconds between two cycles of the agent.",
        checks.between(0.1, 3600)),
    Key("agent", "keep_days", float, 1,
        "Days to keep a work directory after its outputs are in the store.", checks.between(0, 3650)),
    Key("agent", "unpinned", bool, True, "Whether to take jobs that name no system."),
    Key("agent", "handicap", float, 0,
        "Seconds to let other systems claim first if a job names no system.", checks.between(0, 3600)),
    Key(
        "agent", "accept_weak_store", bool, False,
        "Whether to run jobs on a store that ignores conditional writes. Safe only for the agents of a "
        "single home; docs/configuration.md describes what is lost.",
    ),
    Key("agent", "allow_root", bool, False,
        "Whether the agent may run as root. Then every job runs as root, too."),
    Key("client", "name", str, "", "Name of this machine in the records of jobs that it submits.",
        checks.system, "my-laptop"),
    Key("log", "level", str, "INFO", "Log level: DEBUG, INFO, WARNING, ERROR or CRITICAL.",
        checks.level),
)  # fmt: skip

BY_PLACE = {(key.section, key.name): key for key in KEYS}
BY_DOTTED = {key.dotted: key for key in KEYS}
SECTIONS = tuple(dict.fromkeys(key.section for key in KEYS))

TABLES = {
    "projects": 'Name of a project on each system: [projects.NAME] SYSTEM = "value".',
    "resources": "Name of a resource on each system, or the options that request n of it: "
    '[resources.NAME] SYSTEM = "value".',
}
"""Sections whose keys users choose: ``[section.NAME] SYSTEM = "value"``."""


def variable_of(key: Key) -> str:
    """Return the environment variable that overrides *key*."""
    return f"CLOUDQ_{key.section}_{key.name}".upper()


BY_VARIABLE = {variable_of(key): key for key in KEYS}
