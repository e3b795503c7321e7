"""Wire an agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import evolve, frozen

from cloudq.adapters import process
from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.job_repository import (
    BucketJobFiles,
    BucketJobQueue,
    BucketJobRepository,
    BucketSystemRegistry,
)
from cloudq.adapters.object_stores.wrappers.dated import DatedStore
from cloudq.adapters.object_stores.wrappers.fenced import FencedStore
from cloudq.adapters.object_stores.wrappers.look_first import LookFirstStore
from cloudq.adapters.schedulers.local.scheduler import usable_cpus
from cloudq.adapters.workers import ThreadWorkers
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.application.agent.agent_settings import AgentSettings
from cloudq.application.agent.background_work import BackgroundWork
from cloudq.application.agent.cancel_held_jobs import CancelHeldJobs, LetGoOfClaims
from cloudq.application.agent.cancel_tasks import CancelTasks
from cloudq.application.agent.check_dependencies import CheckDependencies
from cloudq.application.agent.check_queue_entries import CheckQueueEntries
from cloudq.application.agent.check_scheduler import CheckScheduler
from cloudq.application.agent.check_store import CheckStore
from cloudq.application.agent.choose_jobs import ChooseJobs
from cloudq.application.agent.end_unstarted import EndUnstarted, RecordSubmission
from cloudq.application.agent.find_forgotten import FindForgotten
from cloudq.application.agent.finish_jobs import FinishJobs, WriteRecords
from cloudq.application.agent.follow_jobs import FollowJobs
from cloudq.application.agent.hand_over_job import HandOverJob
from cloudq.application.agent.hand_over_jobs import HandOverJobs
from cloudq.application.agent.hold_lease import AgentIdentity, HoldLease
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import AgentLog, JobTrouble
from cloudq.application.agent.keep_hold import KeepHold
from cloudq.application.agent.local_scripts import LocalScripts
from cloudq.application.agent.note_silence import NoteSilence
from cloudq.application.agent.permit import Permits
from cloudq.application.agent.prepare_job import PrepareJob
from cloudq.application.agent.publish_summary import PublishSummary
from cloudq.application.agent.recall_jobs import RecallJobs
from cloudq.application.agent.run_agent import RunAgent
from cloudq.application.agent.run_agent_cycle import RunAgentCycle
from cloudq.application.agent.ship_agent_log import ShipAgentLog
from cloudq.application.agent.ship_logs import ShipLogs
from cloudq.application.agent.stop_claim import StopClaim
from cloudq.application.agent.take_jobs import TakeJobs
from cloudq.application.agent.watch_files import WatchFiles
from cloudq.application.agent.watch_queue import WatchQueue
from cloudq.application.shared.end_job import EndJob
from cloudq.application.shared.find_holder import FindHolder
from cloudq.application.shared.take_back_job import TakeBackJob
from cloudq.bootstrap.homes import lease_memory
from cloudq.bootstrap.job_environment import job_environment
from cloudq.bootstrap.own_agent import agent_process
from cloudq.bootstrap.profiles import agent_profile
from cloudq.bootstrap.schedulers import build_scheduler
from cloudq.bootstrap.stores import doubts_of, open_store
from cloudq.config import Config
from cloudq.domain.jobs.eligibility import offer_of
from cloudq.domain.jobs.lease import RETRY_HEARTBEAT_S, Offer, ProcessIdentity
from cloudq.domain.scripts.system_profile import SystemProfile
from cloudq.domain.version import VERSION
from cloudq.ports.batch_scheduler import BatchScheduler
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.lease_memory import LeaseMemory
from cloudq.ports.object_store import ObjectStore
from cloudq.ports.workers import Workers
from cloudq.ports.workspace import Workspace

LOOK_AT_HEARTBEAT_EVERY_S = 1.0
ADVANCE_QUEUE_EVERY_S = 0.5
"""The seconds for which a slot of the embedded scheduler may stay free while a job waits for it."""


@frozen
class AgentWorld:
    """Everything outside itself that an agent uses."""

    store: ObjectStore
    scheduler: BatchScheduler
    workspace: Workspace
    clock: Clock
    ids: IdSource
    workers: Workers
    process: ProcessIdentity
    lease_memory: LeaseMemory
    is_process_gone: Callable[[ProcessIdentity], bool]
    log: AgentLog
    unfit_commands: Callable[[], Sequence[str]] = tuple
    """Returns the options that the scheduler's commands lack, probed before anything is run."""
    local_scripts: LocalScripts | None = None
    """Converts meta jobscripts; None to refuse them."""
    log_file: Path | None = None
    store_doubts: str = ""
    """Why the store's conditions may not hold, as far as this machine shows."""
    advance_queue: Callable[[], object] | None = None
    """Advances the queue of the embedded scheduler between cycles; None for other schedulers."""
    note_trouble: Callable[[str], object] = lambda _: None
    """Notes a problem of the agent where `cloudqd --status` reads it on this machine."""
    wake: Callable[[], None] = lambda: None
    """Ends every sleep of *clock*."""
    close: Callable[[], None] = lambda: None
    """Waits for work under way and closes what is open."""


@frozen
class AgentParts:
    """A wired agent."""

    run: RunAgent
    background: tuple[BackgroundWork, ...]
    """The heartbeat, and any other work that must not wait for a cycle."""
    lease: HoldLease
    holdings: Holdings
    wake: Callable[[], None]
    close: Callable[[], None]

    def start_background(self) -> None:
        """Start the heartbeat and the other background work."""
        for work in self.background:
            work.start()

    def stop_background(self) -> None:
        """Stop the background work."""
        for work in self.background:
            work.stop()

    def stop(self) -> None:
        """Ask the agent to finish its current step and end; call it once; safe in a signal handler."""
        self.run.stop()
        self.wake()


def wire_agent(
    world: AgentWorld,
    settings: AgentSettings,
    offer: Offer,
    profile: str = "local",
    *,
    one_shot: bool = False,
) -> AgentParts:
    """Wire an agent; its heartbeats go to the store directly, everything else through the fence."""
    identity = AgentIdentity(settings.system, world.process, VERSION, profile, offer)
    dated = DatedStore(world.store, world.clock)
    world = evolve(world, store=dated)
    lease = HoldLease(
        registry=BucketSystemRegistry(LookFirstStore(dated, lambda: lease.is_store_weak), world.ids),
        clock=world.clock,
        store_time=dated,
        ids=world.ids,
        identity=identity,
        home=lambda: world.workspace.home,
        memory=world.lease_memory,
        is_process_gone=world.is_process_gone,
        one_shot=one_shot,
    )
    holdings = Holdings()
    permits = Permits(lease)
    cycle = _wire_cycle(world, settings, lease, holdings, permits)
    registry = cycle.publish_summary.registry
    probed = BucketSystemRegistry(world.store, world.ids)  # unfenced: it is probed before there is a lease
    run = RunAgent(
        lease=lease,
        check_store=CheckStore(
            probed,
            world.clock,
            world.workers,
            lease,
            world.log,
            settings.accept_weak_store,
            world.store_doubts,
        ),
        check_scheduler=CheckScheduler(world.unfit_commands, world.clock),
        cycle=cycle,
        ship_agent_log=ShipAgentLog(registry, world.clock, settings.system, world.log_file),
        clock=world.clock,
        log=world.log,
        poll_interval_s=settings.poll_interval_s,
        permits=permits,
        note_trouble=world.note_trouble,
    )

    def close() -> None:
        permits.has_stopped = True
        world.close()

    return AgentParts(run, _background(world, lease), lease, holdings, world.wake, close)


def _background(world: AgentWorld, lease: HoldLease) -> tuple[BackgroundWork, ...]:
    heartbeat = BackgroundWork(
        "heartbeat", lease.send_heartbeat_if_due, LOOK_AT_HEARTBEAT_EVERY_S, world.log, RETRY_HEARTBEAT_S
    )
    advance = world.advance_queue
    if advance is None:
        return (heartbeat,)

    def advance_while_acting() -> None:
        if lease.may_write():  # otherwise, another login node's agent starts waiting jobs there
            advance()

    return heartbeat, BackgroundWork("local queue", advance_while_acting, ADVANCE_QUEUE_EVERY_S, world.log)


def _wire_cycle(
    world: AgentWorld, settings: AgentSettings, lease: HoldLease, holdings: Holdings, permits: Permits
) -> RunAgentCycle:
    fenced = FencedStore(world.store, lease.may_write)
    store = LookFirstStore(fenced, lambda: lease.is_store_weak, lease.look_again)
    ids, clock, workers = world.ids, world.clock, world.workers
    jobs, queue = BucketJobRepository(store, ids), BucketJobQueue(store, ids)
    files, registry = BucketJobFiles(store, ids), BucketSystemRegistry(store, ids)
    scheduler, workspace, system, log = world.scheduler, world.workspace, settings.system, world.log
    trouble = JobTrouble(log, clock)
    end_job = EndJob(jobs, queue, clock)
    watch_queue = WatchQueue(queue, clock, system, holdings)
    watch_files = WatchFiles(system, clock, holdings, trouble, log)
    find_holder = FindHolder(jobs, registry)
    take_back = TakeBackJob(jobs, queue, find_holder, end_job, clock, ids, f"the agent of {system}")
    recall_jobs = RecallJobs(
        watch_queue, registry, jobs, queue, end_job, take_back, clock, lease, holdings, trouble, system
    )
    stop_claim = StopClaim(scheduler, lease.confirm)
    keep_hold = KeepHold(jobs, queue, files, workspace, stop_claim, clock, ids, lease, log)
    dependencies = CheckDependencies(jobs, clock)
    choose = ChooseJobs(jobs, dependencies, scheduler, clock, settings, holdings, trouble, lease)
    local_scripts = world.local_scripts or LocalScripts(system, SystemProfile(name="none", scheduler="none"))
    record_submission = RecordSubmission(clock, settings, log)
    end_unstarted = EndUnstarted(workspace, stop_claim, record_submission, lease.doubt)
    hand_over = HandOverJob(scheduler, workspace, clock, stop_claim, end_unstarted, record_submission)
    ship_logs = ShipLogs(files, clock, workers, permits, holdings, trouble)
    prepare = PrepareJob(files, scheduler, local_scripts, ids)
    return RunAgentCycle(
        lease=lease,
        watch_queue=watch_queue,
        check_queue_entries=CheckQueueEntries(jobs, keep_hold, queue, holdings, trouble, system),
        find_forgotten=FindForgotten(
            keep_hold, queue, workspace, clock, holdings, trouble, system
        ),
        take_jobs=TakeJobs(
            jobs=jobs, keep_hold=keep_hold, end_job=end_job, take_back=take_back,
            dependencies=dependencies, choose=choose,
            workspace=workspace, clock=clock, ids=ids, workers=workers, lease=lease, settings=settings,
            holdings=holdings, trouble=trouble,
        ),
        recall_jobs=recall_jobs,
        cancel_held_jobs=CancelHeldJobs(
            keep_hold, end_unstarted, workspace, stop_claim, clock, holdings, trouble, system
        ),
        cancel_tasks=CancelTasks(stop_claim, clock, holdings, trouble),
        let_go_of_claims=LetGoOfClaims(
            jobs, queue, end_job, take_back, stop_claim, keep_hold, workspace, holdings, trouble, system
        ),
        hand_over_jobs=HandOverJobs(
            prepare=prepare, hand_over=hand_over, end_unstarted=end_unstarted, workspace=workspace,
            stop_claim=stop_claim, permits=permits, clock=clock, workers=workers, holdings=holdings,
            trouble=trouble, system=system,
        ),
        follow_jobs=FollowJobs(
            scheduler, stop_claim, watch_files, clock, workers, holdings, trouble,
            NoteSilence(clock, trouble), lease.doubt,
        ),
        finish_jobs=FinishJobs(
            jobs=jobs, keep_hold=keep_hold, files=files, scheduler=scheduler, dependencies=dependencies,
            clock=clock, workers=workers, holdings=holdings, trouble=trouble, ship_logs=ship_logs,
            watch_files=watch_files, permits=permits, log=log,
            system=system,
        ),
        write_records=WriteRecords(jobs, keep_hold, clock, workers, holdings, trouble),
        ship_logs=ship_logs,
        publish_summary=PublishSummary(registry, queue, clock, lease, system, holdings, recall_jobs),
        keep_hold=keep_hold,
        watch_files=watch_files,
        workspace=workspace,
        clock=clock,
        holdings=holdings,
        log=log,
        keep_s=settings.keep_s,
    )  # fmt: skip


def agent_parts(config: Config, log: AgentLog, log_file: Path | None, *, one_shot: bool) -> AgentParts:
    """Wire the agent that *config* describes. Raises `ConfigProblem` if it cannot run here."""
    profile = _with_limits_of_this_machine(agent_profile(config))
    world = _real_world(config, profile, log, log_file)
    return _wire_for(config, profile, world, one_shot=one_shot)


def agent_over(
    config: Config, profile: SystemProfile, store: ObjectStore, log: AgentLog
) -> tuple[AgentParts, BatchScheduler]:
    """Wire an agent with *profile* over *store* instead of the configured one; also return its scheduler."""
    profile = _with_limits_of_this_machine(profile)
    world = evolve(_real_world(config, profile, log, None), store=store)
    return _wire_for(config, profile, world, one_shot=False), world.scheduler


def _wire_for(config: Config, profile: SystemProfile, world: AgentWorld, *, one_shot: bool) -> AgentParts:
    agent = config.agent
    settings = AgentSettings(
        system=agent.name,
        account=process.account(),
        group=process.group(),
        poll_interval_s=agent.daemon_interval,
        keep_s=agent.keep_days * 86_400,
        unpinned=agent.unpinned,
        handicap_s=agent.handicap,
        accept_weak_store=agent.accept_weak_store,
    )
    offer = offer_of(profile, unpinned=agent.unpinned, handicap_s=agent.handicap)
    return wire_agent(world, settings, offer, profile.name, one_shot=one_shot)


def _with_limits_of_this_machine(profile: SystemProfile) -> SystemProfile:
    """Limit the embedded scheduler to as many slots as this machine has CPUs."""
    if profile.scheduler != "local" or profile.limits.n_resource is not None:
        return profile
    return evolve(profile, limits=evolve(profile.limits, n_resource=usable_cpus()))


def _real_world(config: Config, profile: SystemProfile, log: AgentLog, log_file: Path | None) -> AgentWorld:
    clock, workers = SystemClock(), ThreadWorkers(config.agent.num_procs)
    memory = lease_memory(config)
    scheduler, advance = build_scheduler(profile, config.home, log, may_start=lambda: not memory.doubt())
    return AgentWorld(
        store=open_store(config.store, clock),
        scheduler=scheduler,
        unfit_commands=scheduler.unfit_commands,
        workspace=DirectoryWorkspace(config.home, clock, RandomIds()),
        clock=clock,
        ids=RandomIds(),
        workers=workers,
        process=process.own_identity(),
        lease_memory=memory,
        is_process_gone=process.is_gone,
        log=log,
        local_scripts=LocalScripts(config.agent.name, profile, job_environment(config)),
        log_file=log_file,
        store_doubts=doubts_of(config.store),
        advance_queue=advance,
        note_trouble=agent_process(config).note_trouble,
        wake=clock.wake,
        close=workers.close,
    )
