"""The findings of an examination on stores and machines with problems."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from cloudq.adapters.job_repository import BucketJobQueue, BucketJobRepository, BucketSystemRegistry
from cloudq.application.doctor.examine import Check, examine
from cloudq.application.doctor.examine_machine import ExamineAgentHere, ExamineConfiguration
from cloudq.bootstrap.client import wire_client
from cloudq.domain.errors import (
    ConfigProblem,
    SchedulerUnavailable,
    StoreRefused,
    StoreUnavailable,
    WorkspaceProblem,
)
from cloudq.domain.finding import Finding, Level, Remedy
from cloudq.domain.jobs.claim import ClaimKind
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.system_profile import SystemProfile
from cloudq.domain.scripts.target import Pinned
from cloudq.ports.object_store import ListPage, ObjectStore, UnfinishedUpload
from cloudq.ports.own_machine import Access, Room
from tests.builders import a_claim, a_finished_job, a_job, a_lease
from tests.parts.counting_store import CountingStore
from tests.parts.inline_workers import InlineWorkers
from tests.parts.scripted_scheduler import Script
from tests.parts.trap import Killed, Trap, Trapped
from tests.parts.world import SCRIPT, World

OK, WARNING, PROBLEM, NOT_ASKED = Level
DAY_S = 86_400.0
LONG = Script(duration_s=30_000)


def found(world: World, store: object = None, *, deep: bool = False, collect: bool = False) -> list[Finding]:
    checks = world.client(store).doctor(deep, collect)  # type: ignore[arg-type]
    return list(examine(checks))


def of(findings: list[Finding], check: str) -> list[tuple[Level, str]]:
    return [(each.level, each.what) for each in findings if each.check == check]


class Odd:
    """A store with some requests replaced by those of a test."""

    def __init__(self, inner: ObjectStore, **odd: Callable[..., Any]) -> None:
        self._inner, self._odd = inner, odd

    def __getattr__(self, name: str) -> Any:
        if name in self._odd:
            return lambda *args, **kwargs: self._odd[name](self._inner, *args, **kwargs)
        return getattr(self._inner, name)


def refused(words: str) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> None:
        raise StoreRefused(words)

    return refuse


# The runner -----------------------------------------------------------------------------------


def test_what_cannot_be_asked_is_never_well() -> None:
    def ask() -> Iterator[Finding]:
        yield Finding(OK, "first", "half of it is well")
        raise StoreUnavailable("no answer")

    heard: list[str] = []
    findings = list(examine([Check("first", ask), Check("second", ask, needs="first")], heard.append))

    assert [(each.level, each.check, each.what) for each in findings] == [
        (OK, "first", "half of it is well"),
        (NOT_ASKED, "first", "no answer"),
        (NOT_ASKED, "second", "skipped because the check 'first' failed"),
    ]
    assert [each.is_bad for each in findings] == [False, True, True]
    assert heard == ["first"]


# The store ------------------------------------------------------------------------------------


@pytest.mark.parametrize("deep", [False, True])
def test_a_store_that_is_well_and_nothing_is_left_behind(world: World, deep: bool) -> None:
    findings = found(world, deep=deep)

    assert [(each.level, each.check) for each in findings] == [
        (OK, "store"),
        (OK, "rights"),
        (OK, "clock"),
        (OK, "paging"),
        (OK, "listing"),
        (OK, "create if absent"),
        (OK, "rewrite if unchanged"),
        (OK, "uploads"),
        (WARNING, "agents"),
        (OK, "jobs"),
    ]
    assert world.stored() == []


def test_locks_that_hold_on_one_host_only_are_a_problem(world: World) -> None:
    words = "file locks on /data (nfs4, local_lock=all) hold on one host only"
    client = wire_client(world.store, world.clock, world.ids, InlineWorkers(), "me", doubts=words)
    findings = list(examine(client.doctor(False, False)))

    assert of(findings, "file locks") == [(PROBLEM, words)]
    assert "accept_weak_store" in next(each.to_do for each in findings if each.check == "file locks")


def test_a_refusal_is_shown_with_its_own_advice(world: World) -> None:
    def refuse(*_: object) -> None:
        raise StoreRefused("no write", "set sse in [store]")

    [rights] = [each for each in found(world, Odd(world.store, put=refuse)) if each.check == "rights"]

    assert (rights.what, rights.to_do) == ("may not write: no write", "set sse in [store]")


# Unfinished uploads -----------------------------------------------------------------------------


class HalfUploaded(Odd):
    """A store with unfinished uploads of the given ages in seconds."""

    def __init__(self, inner: ObjectStore, **ages_s: float) -> None:
        self.uploads = [UnfinishedUpload(f"jobs/{key}/1/output.zip", key, age) for key, age in ages_s.items()]
        super().__init__(
            inner,
            unfinished_uploads=lambda _, prefix: [
                each for each in self.uploads if each.key.startswith(prefix)
            ],
            abort_upload=lambda _, upload: self.uploads.remove(upload),
        )


def test_an_upload_that_is_unfinished_for_a_week_is_named_and_collected(world: World) -> None:
    store = HalfUploaded(world.store, aaaaaaaa=8 * DAY_S, bbbbbbbb=6 * DAY_S)
    what = "1 unfinished for more than 7 days, such as jobs/aaaaaaaa/1/output.zip"

    assert of(found(world, store), "uploads") == [(WARNING, what)]
    assert len(store.uploads) == 2
    assert of(found(world, store, collect=True), "uploads") == [(OK, f"{what}; aborted")]
    assert [each.id for each in store.uploads] == ["bbbbbbbb"]


def test_an_upload_of_somebody_else_s_is_left_alone(world: World) -> None:
    store = HalfUploaded(world.store, dataset=100 * DAY_S)

    assert of(found(world, store, collect=True), "uploads")[0][0] is OK
    assert len(store.uploads) == 1


def test_a_store_that_lists_no_uploads_is_said_to_be_unread(world: World) -> None:
    store = Odd(world.store, unfinished_uploads=refused("NotImplemented"))

    assert of(found(world, store), "uploads") == [
        (WARNING, "unfinished uploads could not be read: NotImplemented")
    ]


def test_an_examination_is_cheap(world: World) -> None:
    world.agent(world.system()).cycle()
    counting = CountingStore(world.store)
    found(world, counting)

    assert sum(counting.counts.values()) < 75


def test_a_store_that_does_not_answer_is_asked_nothing_more(world: World) -> None:
    asked: list[object] = []

    def silence(*about: object, **_: object) -> None:
        asked.append(about)
        raise StoreUnavailable("no answer from bucket")

    first, *others = found(world, Odd(world.store, list_page=silence, put=silence))

    assert (first.level, first.check, first.what) == (PROBLEM, "store", "no answer from bucket")
    assert "HTTPS_PROXY" in first.to_do
    assert {each.level for each in others} == {NOT_ASKED}
    assert len(asked) == 1


def test_each_right_that_is_missing_is_named(world: World) -> None:
    store = Odd(world.store, put=refused("403 PutObject"), delete=refused("403 DeleteObject"))
    findings = found(world, store)

    assert of(findings, "rights") == [
        (PROBLEM, "may not write: 403 PutObject"),
        (PROBLEM, "may not delete: 403 DeleteObject"),
    ]
    assert {each.level for each in findings if each.check not in {"store", "rights"}} == {NOT_ASKED}


def test_a_bucket_that_is_not_there_is_one_problem(world: World) -> None:
    no_bucket = refused("there is no bucket 'x'")
    findings = found(
        world, Odd(world.store, put=no_bucket, get=no_bucket, list_page=no_bucket, delete=no_bucket)
    )

    assert of(findings, "rights") == [(PROBLEM, "may not write, list, delete: there is no bucket 'x'")]


@pytest.mark.parametrize(
    ("behind_s", "level"), [(0, OK), (59, OK), (61, WARNING), (-120, WARNING), (901, PROBLEM)]
)
def test_a_clock_that_is_off_is_told_with_what_it_does(world: World, behind_s: int, level: Level) -> None:
    def later(inner: ObjectStore, prefix: str, **options: Any) -> ListPage:
        page = inner.list_page(prefix, **options)
        return evolve(page, date=page.date + timedelta(seconds=behind_s))

    [finding] = [each for each in found(world, Odd(world.store, list_page=later)) if each.check == "clock"]

    assert finding.level is level
    assert (
        level is OK
        or f"{abs(behind_s)} s {'behind' if behind_s > 0 else 'ahead of'} the store's" in finding.what
    )


def test_a_list_that_stops_after_a_page_is_found(world: World) -> None:
    def first_page_only(inner: ObjectStore, prefix: str, **options: Any) -> ListPage:
        if options.get("start_after"):
            return ListPage((), (), world.clock.now(), options["limit"])
        return inner.list_page(prefix, **options)

    findings = found(world, Odd(world.store, list_page=first_page_only))

    assert of(findings, "paging")[0][0] is PROBLEM
    assert "the store listed 2 of 5 keys, 2 at a time" in of(findings, "paging")[0][1]


def test_a_store_that_ignores_conditions_is_found(world: World) -> None:
    def put(inner: ObjectStore, key: str, body: bytes, *_: str) -> str:
        return inner.put(key, body)

    findings = found(world, Odd(world.store, put_if_absent=put, put_if_match=put))

    assert of(findings, "create if absent") == [
        (
            PROBLEM,
            ("of 8 writers that created one key at once, 8 succeeded: two systems could run one job"),
        )
    ]
    assert of(findings, "rewrite if unchanged")[0][0] is PROBLEM
    assert "outdated ETag was accepted" in of(findings, "rewrite if unchanged")[0][1]


def test_a_store_that_refuses_the_right_etag_is_found(world: World) -> None:
    def without_quotes(inner: ObjectStore, key: str, body: bytes, etag: str) -> str:
        return inner.put_if_match(key, body, f'"{etag}"')

    findings = found(world, Odd(world.store, put_if_match=without_quotes))

    assert of(findings, "rewrite if unchanged") == [(PROBLEM, "a rewrite with the right ETag was refused")]


def test_what_an_examination_that_was_cut_short_left_goes_with_a_later_one(world: World) -> None:
    with contextlib.suppress(Killed):
        found(world, Trapped(world.store, Trap(after_name="store.put_if_absent"), "store"))
    left = world.stored("doctor/")
    assert left

    assert world.stored("doctor/") == left
    found(world)
    assert world.stored("doctor/") == left  # the examination may still be running
    world.clock.pass_by(3601)
    told = of(found(world), "rights")

    assert (OK, f"removed {len(left)} objects of an interrupted examination") in told
    assert world.stored("doctor/") == []


# Agents ---------------------------------------------------------------------------------------


def test_agents_that_are_away_old_or_in_trouble_are_named(world: World) -> None:
    agent = world.agent(world.system("alpha", behaviour=lambda *_: LONG))
    world.submit("alpha")
    agent.cycles(3)
    world.clock.pass_by(600)
    registry = BucketSystemRegistry(world.store, world.ids)
    registry.take_lease("beta", a_lease(version="1.9.0", last_error="squeue gave no answer"), None)
    registry.take_lease("gamma", a_lease(released=True), None)
    world.store.put("systems/delta/lease.json", b"{}")
    told = of(found(world), "agents")

    assert (WARNING, "the agent of alpha has been away for 10 min, with 1 jobs") in told
    assert (OK, "alive: beta") in told
    assert (OK, "the agent of gamma has been stopped for 0 s; no job waits for it") in told
    assert any(level is WARNING and what.startswith("beta runs cloudq 1.9.0") for level, what in told)
    assert (WARNING, "beta: squeue gave no answer") in told
    assert any(level is PROBLEM and what.startswith("delta: ") for level, what in told)


# Jobs -----------------------------------------------------------------------------------------


def half_submitted(world: World) -> str:
    dying = world.client(Trapped(world.store, Trap(2), "store"))  # type: ignore[arg-type]
    with contextlib.suppress(Killed):
        dying.submit(JobRequest(SCRIPT, Pinned(("alpha",)), force=True))
    [job_id] = {key.split("/")[1] for key in world.stored("jobs/")}
    return job_id


def test_a_half_submission_is_collected_after_seven_days_and_by_a_claim(world: World) -> None:
    job_id = half_submitted(world)
    assert of(found(world, collect=True), "jobs") == [(OK, "no incomplete or orphaned jobs")]

    world.clock.pass_by(7 * DAY_S + 1)
    told = found(world)[-1]
    assert (told.level, told.what) == (
        WARNING,
        f"1 job was left incomplete for more than 7 days and never claimed: {job_id}",
    )
    assert (told.to_do, told.remedy) == ("collect them", Remedy.COLLECT)
    assert world.job(job_id).state is JobState.INIT

    [(level, what)] = of(found(world, collect=True), "jobs")
    assert (level, what.endswith("; repaired")) == (OK, True)
    claim = BucketJobRepository(world.store, world.ids).newest_claim(job_id)
    assert claim is not None
    assert (claim.n, claim.kind) == (1, ClaimKind.CANCEL)
    assert world.job(job_id).state is JobState.DELETED
    assert of(found(world), "jobs")[0][0] is OK


def test_jobs_that_wait_run_or_have_ended_are_left_alone(world: World) -> None:
    agent = world.agent(world.system("alpha"))
    ended = world.submit("alpha")
    agent.until_final(ended)
    agent.cycles(2)
    world.submit("beta")
    world.clock.pass_by(30 * DAY_S)
    before = world.stored()

    assert of(found(world, collect=True), "jobs") == [(OK, "no incomplete or orphaned jobs")]
    assert world.stored() == before


def test_what_is_left_of_deleted_jobs_is_removed(world: World) -> None:
    jobs = BucketJobRepository(world.store, world.ids)
    jobs.put_history(jobs.history_key(a_finished_job("0000000a")))
    jobs.create_claim("0000000b", a_claim())
    [told] = of(found(world), "jobs")

    assert told == (WARNING, "2 jobs were only partly deleted: 0000000a, 0000000b")
    found(world, collect=True)
    assert world.stored() == []


def test_an_ended_job_that_is_in_no_history_is_put_there(world: World) -> None:
    jobs = BucketJobRepository(world.store, world.ids)
    job = a_finished_job()
    jobs.reserve(evolve(job, history_key=jobs.history_key(job)))

    assert of(found(world), "jobs") == [
        (WARNING, f"1 job was final but missing from the history: {job.uuid}")
    ]
    found(world, collect=True)
    assert [entry.job_id for entry in world.client().query.history()] == [job.uuid]


def test_markers_of_jobs_that_are_over_go_when_no_agent_clears_them(world: World) -> None:
    jobs, queue = (kind(world.store, world.ids) for kind in (BucketJobRepository, BucketJobQueue))
    job = a_finished_job()
    jobs.reserve(job)
    jobs.put_history(jobs.history_key(job))
    for job_id in (job.uuid, "0123abcd"):
        queue.invite("alpha", ClaimTag(job_id, 1))
    assert of(found(world), "jobs")[0][0] is OK  # its agent may be about to remove it

    world.clock.pass_by(3601)
    assert of(found(world), "jobs") == [
        (WARNING, f"2 jobs were final but still in the queue of alpha: 0123abcd, {job.uuid}")
    ]
    found(world, collect=True)
    assert world.stored("queue/") == []


@pytest.mark.parametrize(
    ("kind", "words"), [(ClaimKind.RUN, "held by alpha"), (ClaimKind.RELEASE, "offered")]
)
def test_a_job_that_lost_its_queue_entry_is_for_somebody_to_requeue(
    world: World, kind: ClaimKind, words: str
) -> None:
    jobs = BucketJobRepository(world.store, world.ids)
    job = jobs.reserve(a_job()).job
    jobs.create_claim(job.uuid, a_claim(kind=kind))
    world.clock.pass_by(8 * DAY_S)
    told = found(world, collect=True)[-1]

    assert (told.level, told.what) == (WARNING, f"job ({job.uuid}) is {words}, but has no queue entry")
    assert (told.remedy, told.subject) == (Remedy.REQUEUE, job.uuid)


def test_a_record_that_cannot_be_read_does_not_hide_the_others(world: World) -> None:
    jobs = BucketJobRepository(world.store, world.ids)
    world.store.put("jobs/00000001/manifest.json", b"{}")
    jobs.create_claim("0000000b", a_claim())
    levels = [level for level, _ in of(found(world), "jobs")]

    assert levels == [PROBLEM, WARNING]


# This machine ---------------------------------------------------------------------------------


OURS = Access(others_read=False, others_write=False, is_ours=True)
ROOMY = Room(10**12, 10**6)


@frozen
class Machine:
    """A machine with the properties that a test gives it."""

    modes: Access | None = OURS
    unwritable: str = ""
    left: Room = ROOMY
    not_there: tuple[str, ...] = ()

    def access(self, _: Path) -> Access | None:
        return self.modes

    def why_not_writable(self, _: Path) -> str:
        return self.unwritable

    def room(self, _: Path) -> Room:
        if self.left.free_bytes < 0:
            raise WorkspaceProblem("cannot look at it")
        return self.left

    def missing(self, commands: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(command for command in commands if command in self.not_there)


def here(world: World, machine: Machine, **parts: Any) -> dict[str, tuple[Level, str]]:
    scheduler = world.system("alpha").scheduler
    whole: dict[str, Any] = {
        "load_profile": lambda: SystemProfile(name="site", scheduler="slurm"),
        "commands_of": lambda _: ("sbatch", "squeue"),
        "scheduler_of": lambda _: scheduler,
    }
    agent = ExamineAgentHere(machine, "alpha", Path("/home/me/.cloudq"), **(whole | parts))
    return {each.check: (each.level, each.what) for each in examine(agent.checks())}


def test_a_machine_that_is_fit_for_an_agent(world: World) -> None:
    assert {check: level for check, (level, _) in here(world, Machine()).items()} == {
        "profile": OK,
        "scheduler": OK,
        "directories": OK,
        "disk space": OK,
    }


@pytest.mark.parametrize(
    ("machine", "check", "level", "words"),
    [
        (Machine(not_there=("squeue",)), "scheduler", PROBLEM, "a login shell does not find squeue"),
        (Machine(unwritable="Read-only file system"), "directories", PROBLEM, "Read-only file system"),
        (Machine(Access(True, True, True)), "directories", PROBLEM, "can be changed by others"),
        (Machine(Access(True, False, True)), "directories", WARNING, "can be read by others"),
        (Machine(left=Room(10**7, None)), "disk space", PROBLEM, "0.0 GiB are free"),
        (Machine(left=Room(2 * 10**9, None)), "disk space", WARNING, "1.9 GiB are free"),
        (Machine(left=Room(10**12, 10)), "disk space", PROBLEM, "for 10 files"),
        (Machine(left=Room(-1, None)), "disk space", NOT_ASKED, "cannot look at it"),
    ],
)
def test_what_an_agent_would_miss_is_found(
    world: World, machine: Machine, check: str, level: Level, words: str
) -> None:
    told = here(world, machine)[check]

    assert told[0] is level
    assert words in told[1]


def test_a_profile_or_a_scheduler_that_cannot_be_used_is_a_problem(world: World) -> None:
    def no_profile() -> SystemProfile:
        raise ConfigProblem("there is no profile 'x'")

    scheduler = world.system("beta").scheduler
    scheduler.unavailable = True
    told = here(world, Machine(), load_profile=no_profile)

    assert told["profile"] == (PROBLEM, "there is no profile 'x'")
    assert told["scheduler"][0] is NOT_ASKED
    with pytest.raises(SchedulerUnavailable) as silence:
        scheduler.find(ClaimTag("00000000", 1))
    assert here(world, Machine(), scheduler_of=lambda _: scheduler)["scheduler"] == (
        PROBLEM,
        str(silence.value),
    )


def test_files_that_others_may_change_or_read_are_told() -> None:
    def told(modes: Access | None) -> list[tuple[Level, str]]:
        examination = ExamineConfiguration(
            Machine(modes), "config.toml", files=(Path("c"),), secrets=(Path("keys"),)
        )
        return [(each.level, each.to_do) for each in examine(examination.checks())][1:]

    assert told(None) == told(Access(False, False, True)) == []
    assert told(Access(True, False, True)) == [(WARNING, "chmod 600 keys")]
    assert told(Access(True, True, True)) == [(PROBLEM, "chmod go-w c"), (PROBLEM, "chmod go-w keys")]
