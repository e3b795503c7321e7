"""The kinds of schedulers, as far as they are known on machines that have none, such as Windows."""

from __future__ import annotations

from collections.abc import Mapping

from cloudq.adapters.schedulers.grid_engine import options as grid_engine
from cloudq.adapters.schedulers.grid_engine.submit import plan_qsub as plan_grid_engine_qsub
from cloudq.adapters.schedulers.local import options as local
from cloudq.adapters.schedulers.local.submit import plan_local
from cloudq.adapters.schedulers.pbs import options as pbs
from cloudq.adapters.schedulers.pbs.submit import plan_qsub as plan_pbs_qsub
from cloudq.adapters.schedulers.slurm import options as slurm
from cloudq.adapters.schedulers.slurm.submit import plan_sbatch
from cloudq.application.client.check_options import SchedulerKind

_ACCOUNT = "user"
"""The account on the system, which is unknown here."""

SCHEDULER_KINDS: Mapping[str, SchedulerKind] = {
    "gridengine": SchedulerKind(
        lambda submission: plan_grid_engine_qsub(submission, _ACCOUNT), grid_engine.HEADER
    ),
    "local": SchedulerKind(plan_local, local.HEADER),
    "pbs": SchedulerKind(plan_pbs_qsub, pbs.HEADER),
    "slurm": SchedulerKind(lambda submission: plan_sbatch(submission, _ACCOUNT, {}), slurm.HEADER),
}
"""Every kind, by the name that profiles and leases use."""
