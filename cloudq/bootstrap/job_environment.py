"""The environment variables that pass the agent's configuration to the commands of meta jobs."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from cloudq.config import Config, StoreConfig
from cloudq.config.schema import KEYS, variable_of


def job_environment(config: Config) -> Mapping[str, str]:
    """Return the variables for every meta job; they contain no secret.

    The store's settings are those of the agent, because variables may have overridden the file.
    """
    variables = {
        "CLOUDQ_HOME": str(config.home.absolute()),
        "CLOUDQ_IMAGE_CACHE": str(config.home.absolute() / "images"),
        "CLOUDQ_PYTHON": sys.executable,
        "CLOUDQ_CONFIG": str(config.path.absolute()) if config.path else "",
        **_of_store(config.store),
    }
    return {name: value for name, value in variables.items() if value}


def _of_store(store: StoreConfig) -> dict[str, str]:
    """Return the settings of the store except its prefix: jobs copy to and from whole buckets."""
    keys = [key for key in KEYS if key.section == "store" and key.name != "prefix"]
    return {
        variable_of(key): str(value).lower() if key.type is bool else str(value)
        for key in keys
        if (value := getattr(store, key.name)) != key.default
    }
