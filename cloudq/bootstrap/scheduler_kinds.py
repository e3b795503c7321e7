"""The kinds of schedulers, as far as they are known on machines that have none."""

from __future__ import annotations

from collections.abc import Mapping

from cloudq.adapters.schedulers.grid_engine.scheduler import GRID_ENGINE_DIALECT
from cloudq.adapters.schedulers.grid_engine.submit import plan_qsub as plan_grid_engine_qsub
from cloudq.adapters.schedulers.local.scheduler import LOCAL_DIALECT
from cloudq.adapters.schedulers.local.submit import plan_local
from cloudq.adapters.schedulers.pbs.scheduler import PBS_DIALECT
from cloudq.adapters.schedulers.pbs.submit import plan_qsub as plan_pbs_qsub
from cloudq.adapters.schedulers.slurm.scheduler import SLURM_DIALECT
from cloudq.adapters.schedulers.slurm.submit import plan_sbatch
from cloudq.application.client.check_options import SchedulerKind

_ACCOUNT = "user"
"""The account on the system, which is unknown here."""

SCHEDULER_KINDS: Mapping[str, SchedulerKind] = {
    "gridengine": SchedulerKind(
        lambda submission: plan_grid_engine_qsub(submission, _ACCOUNT), GRID_ENGINE_DIALECT.header
    ),
    "local": SchedulerKind(plan_local, LOCAL_DIALECT.header),
    "pbs": SchedulerKind(plan_pbs_qsub, PBS_DIALECT.header),
    "slurm": SchedulerKind(lambda submission: plan_sbatch(submission, _ACCOUNT, {}), SLURM_DIALECT.header),
}
"""Every kind, by the name that profiles and leases use."""
