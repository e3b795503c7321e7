"""What the commands that meta jobs call must know of the agent's configuration."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from cloudq.config import Config


def job_environment(config: Config) -> Mapping[str, str]:
    """Variables for every meta job; no key is among them.

    The store is told as the agent has it, for variables may have overridden the file.
    """
    store = config.store
    told = {
        "CLOUDQ_HOME": str(config.home.absolute()),
        "CLOUDQ_IMAGE_CACHE": str(config.home.absolute() / "images"),
        "CLOUDQ_PYTHON": sys.executable,
        "CLOUDQ_CONFIG": str(config.path.absolute()) if config.path else "",
        "CLOUDQ_STORE_ENDPOINT_URL": store.endpoint_url,
        "CLOUDQ_STORE_BUCKET": store.bucket,
        "CLOUDQ_STORE_PROFILE": store.profile,
        "CLOUDQ_STORE_REGION": store.region,
        "CLOUDQ_STORE_ADDRESSING_STYLE": store.addressing_style,
    }
    return {name: value for name, value in told.items() if value}
