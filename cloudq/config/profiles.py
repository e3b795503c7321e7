"""Which profiles come with cloudq, and which schedulers this release can speak to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from cloudq.domain.errors import ConfigProblem

if TYPE_CHECKING:
    from cloudq.domain.system_profile import SystemProfile

AVAILABLE_SCHEDULERS = {
    "local": True,
    "slurm": True,
    "gridengine": True,
    "pbs": True,
}
"""Every scheduler that a profile may name, and whether this release can speak to it."""


@frozen
class KnownProfile:
    """A profile that comes with cloudq."""

    name: str
    scheduler: str

    @property
    def is_available(self) -> bool:
        """Whether an agent of this release can run with it."""
        return AVAILABLE_SCHEDULERS[self.scheduler]


KNOWN_PROFILES = {
    profile.name: profile
    for profile in (
        KnownProfile("local", "local"),
        KnownProfile("slurm", "slurm"),
        KnownProfile("gridengine", "gridengine"),
        KnownProfile("pbs", "pbs"),
        KnownProfile("parallelcluster", "slurm"),
        KnownProfile("abci", "pbs"),
        KnownProfile("abci2", "gridengine"),
    )
}


def require_scheduler(profile: SystemProfile) -> SystemProfile:
    """The same profile; raises `ConfigProblem` where this release cannot speak to its scheduler.

    Asked for when an agent starts, not when a configuration is read: a client may share the file.
    """
    if AVAILABLE_SCHEDULERS[profile.scheduler]:
        return profile
    able = ", ".join(repr(each.name) for each in KNOWN_PROFILES.values() if each.is_available)
    raise ConfigProblem(
        f"[agent] profile: profile {profile.name!r} needs the scheduler {profile.scheduler!r}, which this "
        f"release cannot use yet; an agent can run with profile {able}"
    )
