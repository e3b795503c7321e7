"""Build the scheduler that a profile names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from cloudq.adapters.clock import SystemClock
from cloudq.adapters.schedulers.commands import CommandTimes
from cloudq.adapters.schedulers.grid_engine.scheduler import GridEngineScheduler, GridEngineTimes
from cloudq.adapters.schedulers.local.scheduler import EmbeddedScheduler
from cloudq.adapters.schedulers.pbs.scheduler import PbsScheduler
from cloudq.adapters.schedulers.slurm.scheduler import SlurmScheduler
from cloudq.application.agent.job_trouble import AgentLog
from cloudq.domain.scripts.system_profile import SystemProfile
from cloudq.ports.batch_scheduler import BatchScheduler

Advance = Callable[[], object] | None
"""Advances the queue of the embedded scheduler between cycles; None for other schedulers."""


def build_scheduler(
    profile: SystemProfile, home: Path, log: AgentLog, may_start: Callable[[], bool] = lambda: True
) -> tuple[BatchScheduler, Advance]:
    """Return the scheduler of *profile* for the agent with the directory *home*, and its `Advance`.

    The embedded scheduler starts waiting jobs only while *may_start* returns True.
    """
    if profile.scheduler == "local":
        return _local(profile, home, may_start)
    return _BUILDERS[profile.scheduler](profile, home, log)


def commands_of(profile: SystemProfile) -> tuple[str, ...]:
    """Return the commands that the scheduler of *profile* provides and cloudq runs."""
    return _COMMANDS[profile.scheduler]


def _local(
    profile: SystemProfile, home: Path, may_start: Callable[[], bool]
) -> tuple[BatchScheduler, Advance]:
    scheduler = EmbeddedScheduler(
        home / "scheduler", poll_interval_s=profile.poll_interval, may_start=may_start
    )
    return scheduler, lambda: scheduler.poll(())


def _slurm(profile: SystemProfile, home: Path, log: AgentLog) -> tuple[BatchScheduler, Advance]:  # noqa: ARG001
    return SlurmScheduler(CommandTimes(**_times(profile)), warn=log.warning), None


def _pbs(profile: SystemProfile, home: Path, log: AgentLog) -> tuple[BatchScheduler, Advance]:  # noqa: ARG001
    return PbsScheduler(CommandTimes(**_times(profile)), warn=log.warning), None


def _grid_engine(profile: SystemProfile, home: Path, log: AgentLog) -> tuple[BatchScheduler, Advance]:  # noqa: ARG001
    times = GridEngineTimes(**_times(profile))
    return GridEngineScheduler(times, elapsed=SystemClock().elapsed, warn=log.warning), None


def _times(profile: SystemProfile) -> dict[str, float]:
    return {
        "poll_interval_s": profile.poll_interval,
        "query_limit_s": profile.query_limit,
        "submit_wait_s": profile.submit_wait,
        "submit_limit_s": profile.submit_limit,
    }


_BUILDERS: Mapping[str, Callable[[SystemProfile, Path, AgentLog], tuple[BatchScheduler, Advance]]] = {
    "gridengine": _grid_engine,
    "pbs": _pbs,
    "slurm": _slurm,
}

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "gridengine": ("qsub", "qstat", "qdel", "qacct"),
    "local": ("bash",),
    "pbs": ("qsub", "qstat", "qdel"),
    "slurm": ("sbatch", "squeue", "sacct", "scontrol", "scancel"),
}
