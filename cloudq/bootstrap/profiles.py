"""Find the profile of a system."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cloudq.adapters.own_machine import ThisMachine
from cloudq.adapters.systems import has_own_profile, has_profile, load_profile
from cloudq.config import Config
from cloudq.domain.errors import ConfigProblem
from cloudq.domain.scripts.system_profile import SystemProfile


class SchedulerHere(NamedTuple):
    """The scheduler that this machine seems to belong to."""

    profile: str
    """The shipped profile for it."""
    name: str
    command: str
    """The submit command by which it was found."""


_SIGNS = (
    (SchedulerHere("slurm", "Slurm", "sbatch"), ("sbatch", "squeue")),
    (SchedulerHere("gridengine", "Grid Engine", "qsub"), ("qsub", "qconf")),
    (SchedulerHere("pbs", "PBS", "qsub"), ("qsub", "pbsnodes")),
)
"""Schedulers and the commands that only they have together: Grid Engine and PBS both have ``qsub``."""


def scheduler_here(environ: Mapping[str, str]) -> SchedulerHere | None:
    """Return the scheduler whose commands are on the path; None if there is none. Starts no process."""
    machine = ThisMachine(environ)
    return next((here for here, commands in _SIGNS if not machine.missing(commands)), None)


def own_profiles(config: Config) -> Path:
    """Return the directory of a site's own profiles."""
    return config.home / "systems"


def agent_profile(config: Config) -> SystemProfile:
    """Return the profile of this machine's agent; raise `ConfigProblem` if there is none of this name."""
    return load_profile(config.agent.profile, own_profiles(config))


def profile_of(config: Config, system: str, chosen: str = "") -> SystemProfile:
    """Return the profile that *system* most likely has, as far as this machine can know.

    In this order: the *chosen* one; a site's own profile with the system's name; the profile of this
    machine's agent if the agent has the name; a shipped profile with the name. Raises `ConfigProblem`.
    """
    own = own_profiles(config)
    if chosen:
        return load_profile(chosen, own)
    if not has_own_profile(system, own) and config.agent.name == system:
        return load_profile(config.agent.profile, own)
    if not has_profile(system, own):
        raise ConfigProblem(
            f"this machine has no profile of {system}: name its profile, or describe it in "
            f"{own / f'{system}.toml'}"
        )
    return load_profile(system, own)
