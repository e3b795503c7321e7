"""The configuration. Options override ``CLOUDQ_*`` variables, these the file, and the file the defaults.

Reading it writes and changes nothing; all problems are reported at once, each with its place.
"""

from __future__ import annotations

from cloudq.config.load import config_home, load_config
from cloudq.config.model import AgentConfig, ClientConfig, Config, LogConfig, StoreConfig
from cloudq.config.original import find_original, is_original_key
from cloudq.config.reach import INSIDE_ONLY, notices_of_reach
from cloudq.config.schema import KEYS, TABLES, ConfigKey, variable_of
from cloudq.config.template import render_config, write_new_config

__all__ = [
    "INSIDE_ONLY",
    "KEYS",
    "TABLES",
    "AgentConfig",
    "ClientConfig",
    "Config",
    "ConfigKey",
    "LogConfig",
    "StoreConfig",
    "config_home",
    "find_original",
    "is_original_key",
    "load_config",
    "notices_of_reach",
    "render_config",
    "variable_of",
    "write_new_config",
]
