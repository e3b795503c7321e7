"""Find the profile of a system."""

from __future__ import annotations

from pathlib import Path

from cloudq.adapters.systems import has_own_profile, has_profile, load_profile
from cloudq.config import Config
from cloudq.domain.errors import ConfigProblem
from cloudq.domain.scripts.system_profile import SystemProfile


def own_profiles(config: Config) -> Path:
    """Where a site's own profiles lie."""
    return config.home / "systems"


def agent_profile(config: Config) -> SystemProfile:
    """The profile to run an agent with; raises `ConfigProblem` where there is none of the name."""
    return load_profile(config.agent.profile, own_profiles(config))


def profile_of(config: Config, system: str, chosen: str = "") -> SystemProfile:
    """The profile that *system* most likely has, as far as this machine can know.

    The *chosen* one; one of one's own with the system's name; that of this machine's agent if it
    has the name; one that comes with cloudq and has the name. Raises `ConfigProblem`.
    """
    own = own_profiles(config)
    if chosen:
        return load_profile(chosen, own)
    if not has_own_profile(system, own) and config.agent.name == system:
        return load_profile(config.agent.profile, own)
    if not has_profile(system, own):
        raise ConfigProblem(
            f"what {system} is like is not known here: name its profile with --profile, or describe it in "
            f"{own / f'{system}.toml'}"
        )
    return load_profile(system, own)
