"""Provide a login node of a Grid Engine cell."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.parts.grid_engine import GridEngine
from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import Site


def login_node(cell: GridEngine, service: S3Service, root: Path) -> Site:
    """Return a machine that can submit to *cell*, with its jobs in *service*."""
    root.mkdir(exist_ok=True)
    variables = {
        "CLOUDQ_STORE_ENDPOINT_URL": service.endpoint_url,
        "CLOUDQ_STORE_BUCKET": BUCKET,
        "CLOUDQ_STORE_PREFIX": str(uuid.uuid4()),
        "CLOUDQ_AGENT_PROFILE": "gridengine",
    }
    site = Site(root, service.environment() | cell.environment() | variables, "cell")
    own = site.home / "systems"
    own.mkdir(parents=True, mode=0o700)
    (own / "gridengine.toml").write_text("poll_interval = 1\n")
    return site
