"""Let the type checker alone verify that every adapter keeps the signatures of its port."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudq.adapters.archives import ZipArchives
    from cloudq.adapters.clock import RandomIds, SystemClock
    from cloudq.adapters.job_repository import (
        BucketJobFiles,
        BucketJobQueue,
        BucketJobRepository,
        BucketSurveyor,
        BucketSystemRegistry,
    )
    from cloudq.adapters.local_files import DiskFiles
    from cloudq.adapters.object_stores.directory.store import DirectoryStore
    from cloudq.adapters.object_stores.s3.store import S3Store
    from cloudq.adapters.object_stores.wrappers.fenced import FencedStore
    from cloudq.adapters.object_stores.wrappers.look_first import LookFirstStore
    from cloudq.adapters.object_stores.wrappers.retrying import RetryingStore
    from cloudq.adapters.own_machine import ThisMachine
    from cloudq.adapters.parallelcluster.account import AwsAccount
    from cloudq.adapters.parallelcluster.provisioner import ParallelClusterProvisioner
    from cloudq.adapters.preset_files import PresetFiles
    from cloudq.adapters.schedulers.grid_engine.scheduler import GridEngineScheduler
    from cloudq.adapters.schedulers.local.scheduler import EmbeddedScheduler
    from cloudq.adapters.schedulers.pbs.scheduler import PbsScheduler
    from cloudq.adapters.schedulers.slurm.scheduler import SlurmScheduler
    from cloudq.adapters.workers import ThreadWorkers
    from cloudq.adapters.workspace import DirectoryWorkspace
    from cloudq.ports.archives import Archives
    from cloudq.ports.batch_scheduler import BatchScheduler
    from cloudq.ports.bucket_survey import JobSurveyor
    from cloudq.ports.clock import Clock, IdSource
    from cloudq.ports.cluster_provisioner import CloudAccount, ClusterProvisioner
    from cloudq.ports.job_repository import JobFiles, JobQueue, JobRepository
    from cloudq.ports.local_files import LocalFiles
    from cloudq.ports.object_store import ObjectStore
    from cloudq.ports.own_machine import OwnMachine
    from cloudq.ports.presets import Presets
    from cloudq.ports.system_registry import SystemRegistry
    from cloudq.ports.workers import Workers
    from cloudq.ports.workspace import Workspace
    from cloudq.testing.memory_store import MemoryStore
    from tests.parts.inline_workers import InlineWorkers
    from tests.parts.memory_clusters import MemoryCloud
    from tests.parts.scripted_scheduler import ScriptedScheduler

    def _stores(
        s3: S3Store,
        directory: DirectoryStore,
        memory: MemoryStore,
        retrying: RetryingStore,
        fenced: FencedStore,
        look_first: LookFirstStore,
    ) -> list[ObjectStore]:
        return [s3, directory, memory, retrying, fenced, look_first]

    def _schedulers(
        local: EmbeddedScheduler,
        scripted: ScriptedScheduler,
        slurm: SlurmScheduler,
        grid_engine: GridEngineScheduler,
        pbs: PbsScheduler,
    ) -> list[BatchScheduler]:
        return [local, scripted, slurm, grid_engine, pbs]

    def _workers(threads: ThreadWorkers, inline: InlineWorkers) -> list[Workers]:
        return [threads, inline]

    def _bucket(
        jobs: BucketJobRepository, queue: BucketJobQueue, files: BucketJobFiles, systems: BucketSystemRegistry
    ) -> tuple[JobRepository, JobQueue, JobFiles, SystemRegistry]:
        return jobs, queue, files, systems

    def _machine(
        clock: SystemClock, ids: RandomIds, workspace: DirectoryWorkspace, archives: ZipArchives
    ) -> tuple[Clock, IdSource, Workspace, Archives]:
        return clock, ids, workspace, archives

    def _clouds(
        aws: ParallelClusterProvisioner, account: AwsAccount, memory: MemoryCloud, presets: PresetFiles
    ) -> tuple[list[ClusterProvisioner], list[CloudAccount], Presets]:
        return [aws, memory], [account, memory], presets

    def _files(disk: DiskFiles) -> LocalFiles:
        return disk

    def _examination(surveyor: BucketSurveyor, machine: ThisMachine) -> tuple[JobSurveyor, OwnMachine]:
        return surveyor, machine
