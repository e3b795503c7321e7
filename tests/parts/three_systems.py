"""Provide three live systems that share one store: Slurm, Grid Engine, and this machine."""

from __future__ import annotations

from pathlib import Path

from cloudq.client import Client
from tests.parts.grid_engine import QUEUE, GridEngine
from tests.parts.site import INTERVAL_S, Site, wait_until
from tests.parts.slurm import Slurm

HEAD = "#!/bin/bash\n#$ project: imaging\n#$ resource: small\n#$ n_resource: 1\n"
"""The head of a meta jobscript that each of them can run."""

_SMALL = {"slurm": "--partition=main --ntasks={n}", "gridengine": f"-q {QUEUE}", "local": "--slots={n}"}


def three_sites(
    root: Path,
    slurm: Slurm,
    grid_engine: GridEngine,
    *,
    interval_s: float = INTERVAL_S,
    handicap_s: float = 0.0,
) -> dict[str, Site]:
    """Return login nodes of both clusters, and a workstation that claims jobs *handicap_s* later."""
    root.mkdir(exist_ok=True)
    common = {
        "CLOUDQ_STORE_ENDPOINT_URL": f"file://{root}/store",
        "CLOUDQ_AGENT_DAEMON_INTERVAL": str(interval_s),
    }
    own = {
        "slurm": slurm.environment(),
        "gridengine": grid_engine.environment(),
        "local": {"CLOUDQ_AGENT_HANDICAP": str(handicap_s)},
    }
    return {name: _site(root / name, name, common | variables) for name, variables in own.items()}


def _site(root: Path, name: str, variables: dict[str, str]) -> Site:
    site = Site(root, variables | {"CLOUDQ_AGENT_PROFILE": name}, name)
    systems = site.home / "systems"
    systems.mkdir(parents=True, mode=0o700)
    (systems / f"{name}.toml").write_text(
        f'poll_interval = 1\n[options]\nproject = ""\n[resources.small]\noptions = "{_SMALL[name]}"\n'
    )
    return site


def wait_for_reports(client: Client, *systems: str) -> None:
    """Wait until the agent of each system has reported its offer."""
    registry = client._parts.list_agents.registry
    wait_until(lambda: set(systems) <= set(registry.systems()))
