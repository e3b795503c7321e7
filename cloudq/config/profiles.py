"""The profiles an agent may be given, and what this release can do for each."""

from __future__ import annotations

from attrs import frozen

from cloudq.config.model import Config
from cloudq.domain.errors import ConfigProblem


@frozen
class AgentProfile:
    """What a kind of system is like."""

    name: str
    scheduler: str
    is_available: bool = False
    """Whether this release can speak to its scheduler."""


KNOWN_PROFILES = {
    profile.name: profile
    for profile in (
        AgentProfile("local", "local", is_available=True),
        AgentProfile("slurm", "slurm", is_available=True),
        AgentProfile("gridengine", "gridengine", is_available=True),
        AgentProfile("pbs", "pbs"),
        AgentProfile("parallelcluster", "slurm", is_available=True),
        AgentProfile("abci", "pbs"),
        AgentProfile("abci2", "gridengine"),
    )
}


def agent_profile(config: Config) -> AgentProfile:
    """The profile to run an agent with; raises `ConfigProblem` where this release cannot.

    Asked for when an agent starts, not when a configuration is read: a client may share the file.
    """
    name = config.agent.profile
    profile = KNOWN_PROFILES.get(name)
    if profile is not None and profile.is_available:
        return profile
    known = ", ".join(sorted(KNOWN_PROFILES))
    what = (
        f"profile {name!r} is not known; known are {known}"
        if profile is None
        else f"profile {name!r} needs the scheduler {profile.scheduler!r}, which this release cannot use yet"
    )
    able = ", ".join(repr(each.name) for each in KNOWN_PROFILES.values() if each.is_available)
    raise ConfigProblem(f"[agent] profile: {what}; an agent can run with profile {able}")
