"""Wire the trials of a site's scheduler: a client and an agent in one process, over a store in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import evolve, frozen

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.filesystem import as_workspace_problem, make_private_dir, remove_tree
from cloudq.adapters.workers import ThreadWorkers
from cloudq.adapters.workspace.exchange import exchange_files
from cloudq.application.agent.job_trouble import AgentLog
from cloudq.application.client.try_scheduler import TryScheduler
from cloudq.bootstrap.agent import AgentParts, agent_over
from cloudq.bootstrap.client import wire_client
from cloudq.bootstrap.profiles import agent_profile
from cloudq.config import Config, StoreConfig
from cloudq.domain.jobs.acceptance import WORDS
from cloudq.domain.scripts.system_profile import SystemProfile
from cloudq.testing.memory_store import MemoryStore

CYCLE_S = 1.0
READERS = 4


@frozen
class AcceptanceParts:
    """The wired trials, and the profile and directory that they use."""

    try_scheduler: TryScheduler
    profile: SystemProfile
    home: Path
    """A separate directory below the agent's home, removed at the end."""


@contextmanager
def acceptance_parts(
    config: Config, options: str, log: AgentLog, report: Callable[[str], object]
) -> Iterator[AcceptanceParts]:
    """Wire the trials for the profile that *config* names, with an agent that runs until the context ends.

    *options* are added to every job. No store is contacted, so *config* need not name a usable one. Raises
    `ConfigProblem`.
    """
    profile = agent_profile(config)
    home = config.home / "acceptance" / RandomIds().nonce()[:8]
    with as_workspace_problem(f"make {home}"):
        make_private_dir(home)
    clock, ids = SystemClock(), RandomIds()
    store = MemoryStore(clock.now)
    own = evolve(
        config,
        home=home,
        store=StoreConfig(endpoint_url=home.joinpath("store").as_uri()),
        agent=evolve(config.agent, daemon_interval=CYCLE_S, unpinned=False),
    )
    agent, scheduler = agent_over(own, profile, store, log)
    workers = ThreadWorkers(READERS)
    client = wire_client(store, clock, ids, workers, "acceptance")
    trials = TryScheduler(
        submit=client.submit,
        cancel=client.cancel,
        query=client.query,
        read_log=client.read_log,
        clock=clock,
        system=config.agent.name,
        words=WORDS[profile.scheduler],
        options=options,
        seen_after_s=2 * scheduler.poll_interval_s,
        exchange_files=lambda directory: exchange_files(Path(directory), clock),
        report=report,
    )
    try:
        with _running(agent):
            try:
                yield AcceptanceParts(trials, profile, home)
            finally:
                trials.clean_up()
    finally:
        workers.close()
        with as_workspace_problem(f"remove {home}"):
            remove_tree(home)
            with suppress(OSError):  # another run uses it
                home.parent.rmdir()


@contextmanager
def _running(agent: AgentParts) -> Iterator[None]:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            agent.run.forever()
        except BaseException as error:  # noqa: BLE001 (raised again by the waiting thread)
            failures.append(error)

    thread = threading.Thread(target=run, name="agent", daemon=True)
    agent.start_background()
    thread.start()
    try:
        yield
    finally:
        agent.stop()
        thread.join()
        agent.stop_background()
        agent.close()
    if failures:
        raise failures[0]
