"""The tables of a configuration file. The fields of the model describe their keys."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import fields, frozen

from cloudq import toml_tables
from cloudq.config import checks
from cloudq.config.model import AgentConfig, ClientConfig, LogConfig, StoreConfig
from cloudq.toml_tables import Entry, Names

Value = str | bool | int | float


@frozen(kw_only=True)
class ConfigKey(toml_tables.Key):
    """A configuration key with its default, its help text, and an example for the file."""

    section: str
    name: str
    default: Value
    help: str
    example: str

    @property
    def dotted(self) -> str:
        """The key as ``section.name``, as `load_config` takes overrides."""
        return f"{self.section}.{self.name}"


_MODELS = {"store": StoreConfig, "agent": AgentConfig, "client": ClientConfig, "log": LogConfig}

KEYS = tuple(
    ConfigKey(type(field.default), section=section, name=field.name, default=field.default, **field.metadata)
    for section, model in _MODELS.items()
    for field in fields(model)
)
SECTIONS = tuple(_MODELS)

TABLES = {
    f"{kind}s": Names(
        "NAME", str, Names("SYSTEM", checks.system, toml_tables.Key(object, checks.mapped(kind)))
    )
    for kind in ("project", "resource")
}
"""Sections whose keys users choose: ``[section.NAME] SYSTEM = "value"``."""

FILE: Mapping[str, Entry] = {
    **{section: {key.name: key for key in KEYS if key.section == section} for section in SECTIONS},
    **TABLES,
}
"""Every table and key that a configuration file may have."""


def variable_of(key: ConfigKey) -> str:
    """Return the environment variable that overrides *key*."""
    return f"CLOUDQ_{key.section}_{key.name}".upper()


BY_DOTTED = {key.dotted: key for key in KEYS}
BY_VARIABLE = {variable_of(key): key for key in KEYS}
