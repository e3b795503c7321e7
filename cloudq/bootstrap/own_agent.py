"""Wire what commands ask about the agent of this machine."""

from __future__ import annotations

from cloudq.adapters.agent_process import AgentProcess
from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.job_repository import BucketSystemRegistry
from cloudq.adapters.process import DetachedProcess
from cloudq.application.agent.report_status import ReportStatus
from cloudq.bootstrap.homes import doubt_of
from cloudq.bootstrap.stores import open_store
from cloudq.config import Config

__all__ = ["AgentProcess", "DetachedProcess", "agent_process", "status_report"]


def agent_process(config: Config) -> AgentProcess:
    """Return the process of the agent that *config* describes, on this host."""
    agent = config.agent
    return AgentProcess(
        config.home,
        agent.name,
        SystemClock(),
        allow_root=agent.allow_root,
        accept_weak_store=agent.accept_weak_store,
    )


def status_report(config: Config) -> ReportStatus:
    """Return the use case that reports the status of that agent."""
    registry = BucketSystemRegistry(open_store(config.store, SystemClock()), RandomIds())
    return ReportStatus(registry, config.agent.name, agent_process(config), lambda: doubt_of(config))
