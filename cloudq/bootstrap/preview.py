"""Wire the preview of conversions, which needs no store and no scheduler."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cloudq.adapters.schedulers.grid_engine.submit import plan_qsub as plan_grid_engine_qsub
from cloudq.adapters.schedulers.local.submit import plan_local
from cloudq.adapters.schedulers.pbs.submit import plan_qsub as plan_pbs_qsub
from cloudq.adapters.schedulers.slurm.submit import plan_sbatch
from cloudq.application.client.preview_conversion import PreviewConversion
from cloudq.bootstrap.profiles import profile_of
from cloudq.config import Config
from cloudq.domain.scripts.system_mapping import NameTables
from cloudq.ports.batch_scheduler import Submission, SubmitPlan

_ACCOUNT = "user"
"""The account on the system, which is unknown here and appears in no preview."""

_PLANS: Mapping[str, Callable[[Submission], SubmitPlan]] = {
    "gridengine": lambda submission: plan_grid_engine_qsub(submission, _ACCOUNT),
    "local": plan_local,
    "pbs": plan_pbs_qsub,
    "slurm": lambda submission: plan_sbatch(submission, _ACCOUNT, {}),
}


def conversion_preview(config: Config) -> PreviewConversion:
    """Return the preview with the names and profiles of *config*."""
    return PreviewConversion(
        NameTables(config.projects, config.resources),
        lambda system, chosen: profile_of(config, system, chosen),
        lambda scheduler, submission: _PLANS[scheduler](submission),
    )
