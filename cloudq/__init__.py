"""Submit a job once, run it on any cluster you have an account on.

``from cloudq import Client`` is the entry point for programs; see ``examples/library.py``. Names are loaded
when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cloudq.domain.version import VERSION

if TYPE_CHECKING:
    from cloudq.application.client.explain_job import Explanation, NextStep
    from cloudq.application.client.query_jobs import ActiveJobs
    from cloudq.application.client.read_log import TaskLine
    from cloudq.application.client.requeue_job import Requeued
    from cloudq.application.client.submit_job import Submitted
    from cloudq.application.client.submit_many import SubmitResult
    from cloudq.application.client.watch_jobs import Snapshot
    from cloudq.application.shared.cancel_job import CancelResult
    from cloudq.application.shared.find_holder import Holder
    from cloudq.application.shared.list_agents import AgentReport
    from cloudq.client import Client
    from cloudq.config import Config, load_config
    from cloudq.domain.errors import (
        AmbiguousJobId,
        CloudqError,
        InvalidInput,
        JobNotFound,
        JobStateConflict,
        MaybeSubmitted,
        StoreProblem,
        StoreUnavailable,
        UnknownSystem,
        WaitTimedOut,
    )
    from cloudq.domain.finding import Finding, Level, Remedy
    from cloudq.domain.jobs.history import HistoryEntry, HistoryTotals
    from cloudq.domain.jobs.job import Job
    from cloudq.domain.jobs.job_request import JobSpec
    from cloudq.domain.jobs.job_state import JobState
    from cloudq.domain.jobs.lease import AgentState
    from cloudq.domain.jobs.selector import Selector
    from cloudq.domain.jobs.summary import ActiveJob
    from cloudq.domain.scripts.command import Command
    from cloudq.domain.scripts.jobscript import Jobscript


__version__ = VERSION

_HOMES = {
    "ActiveJob": "cloudq.domain.jobs.summary",
    "ActiveJobs": "cloudq.application.client.query_jobs",
    "AmbiguousJobId": "cloudq.domain.errors",
    "AgentReport": "cloudq.application.shared.list_agents",
    "AgentState": "cloudq.domain.jobs.lease",
    "CancelResult": "cloudq.application.shared.cancel_job",
    "Client": "cloudq.client",
    "CloudqError": "cloudq.domain.errors",
    "Command": "cloudq.domain.scripts.command",
    "Config": "cloudq.config",
    "Explanation": "cloudq.application.client.explain_job",
    "Fetched": "cloudq.application.client.fetch_outputs",
    "Finding": "cloudq.domain.finding",
    "HistoryEntry": "cloudq.domain.jobs.history",
    "HistoryTotals": "cloudq.domain.jobs.history",
    "Holder": "cloudq.application.shared.find_holder",
    "InvalidInput": "cloudq.domain.errors",
    "Job": "cloudq.domain.jobs.job",
    "JobNotFound": "cloudq.domain.errors",
    "JobSpec": "cloudq.domain.jobs.job_request",
    "JobState": "cloudq.domain.jobs.job_state",
    "JobStateConflict": "cloudq.domain.errors",
    "Jobscript": "cloudq.domain.scripts.jobscript",
    "Level": "cloudq.domain.finding",
    "MaybeSubmitted": "cloudq.domain.errors",
    "NextStep": "cloudq.application.client.explain_job",
    "Remedy": "cloudq.domain.finding",
    "Requeued": "cloudq.application.client.requeue_job",
    "Selector": "cloudq.domain.jobs.selector",
    "Snapshot": "cloudq.application.client.watch_jobs",
    "StoreProblem": "cloudq.domain.errors",
    "StoreUnavailable": "cloudq.domain.errors",
    "SubmitResult": "cloudq.application.client.submit_many",
    "Submitted": "cloudq.application.client.submit_job",
    "TaskLine": "cloudq.application.client.read_log",
    "UnknownSystem": "cloudq.domain.errors",
    "WaitTimedOut": "cloudq.domain.errors",
    "load_config": "cloudq.config",
}

__all__ = [
    "ActiveJob",
    "ActiveJobs",
    "AgentReport",
    "AgentState",
    "AmbiguousJobId",
    "CancelResult",
    "Client",
    "CloudqError",
    "Command",
    "Config",
    "Explanation",
    "Fetched",
    "Finding",
    "HistoryEntry",
    "HistoryTotals",
    "Holder",
    "InvalidInput",
    "Job",
    "JobNotFound",
    "JobSpec",
    "JobState",
    "JobStateConflict",
    "Jobscript",
    "Level",
    "MaybeSubmitted",
    "NextStep",
    "Remedy",
    "Requeued",
    "Selector",
    "Snapshot",
    "StoreProblem",
    "StoreUnavailable",
    "SubmitResult",
    "Submitted",
    "TaskLine",
    "UnknownSystem",
    "WaitTimedOut",
    "__version__",
    "load_config",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'cloudq' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
