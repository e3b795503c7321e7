"""Wire the client's use cases."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from cloudq.adapters.archives import ZipArchives
from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.job_repository import (
    BucketJobFiles,
    BucketJobQueue,
    BucketJobRepository,
    BucketSurveyor,
    BucketSystemRegistry,
)
from cloudq.adapters.job_repository.keys import PROBES
from cloudq.adapters.object_stores.wrappers.look_first import LookFirstStore
from cloudq.adapters.workers import ThreadWorkers
from cloudq.application.client.check_options import CheckOptions, SchedulerKind
from cloudq.application.client.check_submission import CheckSubmission
from cloudq.application.client.delete_job import DeleteJob
from cloudq.application.client.explain_job import ExplainJob
from cloudq.application.client.fetch_outputs import FetchOutputs
from cloudq.application.client.find_systems import FindSystems
from cloudq.application.client.name_jobs import NameJobs
from cloudq.application.client.offer_job import OfferJob
from cloudq.application.client.query_jobs import QueryJobs
from cloudq.application.client.read_log import ReadLog
from cloudq.application.client.refresh_states import RefreshStates
from cloudq.application.client.requeue_job import RequeueJob
from cloudq.application.client.rerun_job import RerunJob
from cloudq.application.client.stage_out import StageOut
from cloudq.application.client.submit_job import SubmitJob
from cloudq.application.client.submit_many import SubmitMany
from cloudq.application.client.wait_for_job import WaitForJob, WaitForJobs
from cloudq.application.client.watch_jobs import WatchJobs
from cloudq.application.doctor.examine import Check
from cloudq.application.doctor.examine_agents import ExamineAgents
from cloudq.application.doctor.examine_jobs import ExamineJobs
from cloudq.application.doctor.examine_settings import ExamineSettings
from cloudq.application.doctor.examine_store import ExamineStore
from cloudq.application.doctor.examine_uploads import ExamineUploads
from cloudq.application.shared.cancel_job import CancelJob
from cloudq.application.shared.end_job import EndJob
from cloudq.application.shared.find_holder import FindHolder
from cloudq.application.shared.know_store import KnowStore
from cloudq.application.shared.list_agents import ListAgents
from cloudq.application.shared.take_back_job import TakeBackJob
from cloudq.bootstrap.client_memory import client_memory
from cloudq.bootstrap.stores import doubts_of, open_store, settings_reader_of
from cloudq.config import Config, StoreConfig, load_config
from cloudq.domain.scripts.system_mapping import NameTables
from cloudq.domain.version import VERSION
from cloudq.ports.archives import Archives
from cloudq.ports.client_memory import NO_MEMORY, ClientMemory
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.object_store import ObjectStore
from cloudq.ports.workers import Workers

NO_NAMES = NameTables()
"""No mapping: every project and resource has the same name on every system."""

READERS = 16
"""The number of small reads in flight at once; a listing takes as long as the store's latency allows."""


@frozen
class ClientParts:
    """All use cases of a client, wired."""

    check_submission: CheckSubmission
    submit: SubmitJob
    submit_many: SubmitMany
    rerun: RerunJob
    cancel: CancelJob
    delete: DeleteJob
    query: QueryJobs
    watch: WatchJobs
    name_job: NameJobs
    memory: ClientMemory
    explain: ExplainJob
    refresh: RefreshStates
    list_agents: ListAgents
    read_log: ReadLog
    wait: WaitForJob
    wait_for_all: WaitForJobs
    stage_out: StageOut
    fetch_outputs: FetchOutputs
    find_holder: FindHolder
    take_back: TakeBackJob
    know_store: KnowStore
    offer: OfferJob
    requeue: RequeueJob
    archives: Archives
    clock: Clock
    doctor: Callable[[bool, bool], tuple[Check, ...]]
    """Returns the doctor's checks; the arguments are *deep* and *collect*."""
    close: Callable[[], None]


def client_parts(
    config: Config | Path | str | None, on_silence: Callable[[str], object] | None = None
) -> ClientParts:
    """Wire a client for *config*: a loaded configuration, its file, or None for the default places.

    *on_silence* gets a message, from another thread, when the store does not answer for 2 s.
    """
    if not isinstance(config, Config):
        config = load_config(os.environ, path=Path(config) if config is not None else None)
    clock = SystemClock()
    workers = ThreadWorkers(READERS)
    name = config.client.name or f"{_user()}@{platform.node()}"
    names = NameTables(config.projects, config.resources)
    store = open_store(config.store, clock, on_silence)
    return wire_client(
        store, clock, RandomIds(), workers, name, workers.close, names,
        config.store.in_words, doubts_of(config.store),
        lambda: settings_checks(config.store, clock), client_memory(config),
    )  # fmt: skip


def settings_checks(config: StoreConfig, clock: Clock) -> tuple[Check, ...]:
    """Return the checks of the bucket's settings; a directory has none."""
    reader = settings_reader_of(config, clock)
    return () if reader is None else ExamineSettings(reader, config.prefix).checks()


def wire_client(
    store: ObjectStore,
    clock: Clock,
    ids: IdSource,
    workers: Workers,
    name: str,
    close: Callable[[], None] = lambda: None,
    names: NameTables = NO_NAMES,
    where: str = "the store",
    doubts: str = "",
    settings: Callable[[], tuple[Check, ...]] = lambda: (),
    memory: ClientMemory = NO_MEMORY,
) -> ClientParts:
    """Wire a client over *store*; *name* shows other users who acted, *where* describes the store.

    *settings* returns the checks of the bucket's settings; *doubts* states why the store's conditions may not
    hold, as far as this machine shows. *memory* keeps which jobs the user met on this machine.
    """
    bare_store = store
    know_store = KnowStore(BucketSystemRegistry(store, ids))
    store = LookFirstStore(store, lambda: know_store.is_weak)
    jobs, queue = BucketJobRepository(store, ids), BucketJobQueue(store, ids)
    files, registry = BucketJobFiles(store, ids), BucketSystemRegistry(store, ids)
    archives = ZipArchives()
    end_job = EndJob(jobs, queue, clock)
    find_holder = FindHolder(jobs, registry)
    take_back = TakeBackJob(jobs, queue, find_holder, end_job, clock, ids, name)
    offer = OfferJob(jobs, queue, files, find_holder, take_back)
    find_systems = FindSystems(registry, names, know_store, CheckOptions(_kind_of))
    check_submission = CheckSubmission(jobs, archives, find_systems)
    submit = SubmitJob(jobs, queue, files, check_submission, names, clock, ids, name, memory)
    query = QueryJobs(jobs, queue, registry, workers, clock)
    wait = WaitForJob(jobs, clock)
    cancel = CancelJob(jobs, queue, find_holder, end_job, take_back, know_store, clock, ids, name)
    list_agents = ListAgents(registry, clock, workers)
    read_log = ReadLog(jobs, queue, files, registry, clock)
    stage_out = StageOut(files, archives)

    def doctor(deep: bool, collect: bool) -> tuple[Check, ...]:
        surveyor = BucketSurveyor(store, workers)
        return (
            *ExamineStore(bare_store, PROBES, clock, ids, workers, where, deep, doubts).checks(),
            *settings(),
            *ExamineUploads(surveyor, collect).checks(),
            *ExamineAgents(list_agents, VERSION).checks(),
            *ExamineJobs(surveyor, jobs, queue, end_job, cancel, collect).checks(),
        )

    return ClientParts(
        check_submission=check_submission,
        submit=submit,
        submit_many=SubmitMany(submit, workers),
        rerun=RerunJob(jobs, files, submit),
        cancel=cancel,
        delete=DeleteJob(jobs, queue, registry, find_holder),
        query=query,
        refresh=RefreshStates(queue, clock),
        watch=WatchJobs(query, clock),
        explain=ExplainJob(jobs, queue, files, registry, find_systems, read_log),
        name_job=NameJobs(jobs, query, memory),
        memory=memory,
        list_agents=list_agents,
        read_log=read_log,
        wait=wait,
        wait_for_all=WaitForJobs(jobs, wait, workers, clock),
        stage_out=stage_out,
        fetch_outputs=FetchOutputs(stage_out),
        find_holder=find_holder,
        take_back=take_back,
        know_store=know_store,
        offer=offer,
        requeue=RequeueJob(jobs, files, find_holder, find_systems, take_back, offer),
        archives=archives,
        clock=clock,
        doctor=doctor,
        close=close,
    )


def _kind_of(scheduler: str) -> SchedulerKind | None:
    from cloudq.bootstrap.scheduler_kinds import SCHEDULER_KINDS  # noqa: PLC0415 (only submissions need it)

    return SCHEDULER_KINDS.get(scheduler)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
