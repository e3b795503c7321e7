"""Assemble the checks for this machine and its store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.job_repository.keys import PROBES
from cloudq.adapters.own_machine import ThisMachine
from cloudq.adapters.workers import ThreadWorkers
from cloudq.application.doctor.examine import Check, examine
from cloudq.application.doctor.examine_machine import ExamineAgentHere, ExamineConfiguration
from cloudq.application.doctor.examine_store import ExamineStore
from cloudq.bootstrap.profiles import agent_profile
from cloudq.bootstrap.stores import doubts_of, open_store
from cloudq.config import Config
from cloudq.config.model import AgentConfig
from cloudq.domain.finding import Finding
from cloudq.domain.scripts.system_profile import SystemProfile
from cloudq.ports.batch_scheduler import BatchScheduler

PROBES_AT_ONCE = 8


def store_problems(config: Config) -> tuple[Finding, ...]:
    """Return what keeps this machine from using the store, tested with a few small objects, then removed."""
    clock, ids, workers = SystemClock(), RandomIds(), ThreadWorkers(PROBES_AT_ONCE)
    try:
        store, doubts = open_store(config.store, clock), doubts_of(config.store)
        examination = ExamineStore(store, PROBES, clock, ids, workers, config.store.in_words, doubts=doubts)
        return tuple(finding for finding in examine(examination.checks()) if finding.is_bad)
    finally:
        workers.close()


def machine_checks(config: Config) -> tuple[Check, ...]:
    """Return the checks of this machine, which come before those of the store."""
    machine = ThisMachine(_login(config))
    configuration = ExamineConfiguration(
        machine,
        f"{config.path}" if config.path else "no configuration file: defaults and CLOUDQ_* variables apply",
        files=(config.path,) if config.path else (),
        secrets=_credentials(os.environ),
    )
    return (*configuration.checks(), *(_agent_checks(config, machine) if is_agent_here(config) else ()))


def is_agent_here(config: Config) -> bool:
    """Return whether an agent is configured on this machine, or has run here."""
    usual = AgentConfig()
    chosen = (config.agent.name, config.agent.profile) != (usual.name, usual.profile)
    return chosen or any((config.home / trace).is_dir() for trace in ("cache", "run"))


def _agent_checks(config: Config, machine: ThisMachine) -> tuple[Check, ...]:
    from cloudq.bootstrap.schedulers import build_scheduler, commands_of  # noqa: PLC0415 (agents only: POSIX)

    def scheduler_of(profile: SystemProfile) -> BatchScheduler:
        return build_scheduler(profile, config.home, _Silence())[0]

    here = ExamineAgentHere(
        machine,
        config.agent.name,
        config.home,
        load_profile=lambda: agent_profile(config),
        commands_of=commands_of,
        scheduler_of=scheduler_of,
    )
    return here.checks()


def _login(config: Config) -> Mapping[str, str]:
    """Return the environment in which an agent looks for commands."""
    if not is_agent_here(config):
        return os.environ
    from cloudq.adapters.login_environment import login_environment  # noqa: PLC0415 (agents only: POSIX)

    return login_environment(os.environ)


def _credentials(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the file in which boto3 looks for keys."""
    named = environ.get("AWS_SHARED_CREDENTIALS_FILE")
    return (Path(named) if named else Path.home() / ".aws" / "credentials",)


@frozen
class _Silence:
    """A log that discards everything, for a scheduler that is asked one question."""

    def info(self, event: str, **about: object) -> None: ...
    def warning(self, event: str, **about: object) -> None: ...
    def error(self, event: str, **about: object) -> None: ...
    def exception(self, event: str, **about: object) -> None: ...
