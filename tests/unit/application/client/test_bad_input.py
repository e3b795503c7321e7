"""Bad input and outages, for agents and clients: plain messages, and nothing lost or doubled."""

from __future__ import annotations

import contextlib
import errno
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from cloudq.client import Client
from cloudq.domain.errors import (
    CloudqError,
    InvalidInput,
    LeaseLost,
    MaybeSubmitted,
    NewerFormat,
    OutcomeUnknown,
    RecordRejected,
    StagedOutInPart,
    StoreUnavailable,
    WorkspaceFull,
)
from cloudq.domain.jobs.job_state import JobState
from cloudq.ports.workers import Lane
from cloudq.testing.fake_clock import FakeClock
from tests.parts.held_up_workers import held_up
from tests.parts.scripted_scheduler import Script
from tests.parts.trap import Trap
from tests.parts.world import POLL_S, Agent, World, text_of

Spoil = Callable[[bytes], bytes]


def with_fields(**fields: object) -> Spoil:
    """Return a change that overwrites these fields of a record."""
    return lambda body: json.dumps(json.loads(body) | fields).encode()


def spoil(world: World, job_id: str, how: Spoil) -> bytes:
    """Change the record of a job behind cloudq's back, and return the old one."""
    key = f"jobs/{job_id}/manifest.json"
    before = world.body(key)
    world.store.put(key, how(before))
    return before


def note_of(world: World, job_id: str) -> str:
    """Return the reason why a job waits, as ``list --long`` shows it."""
    [note] = [job.note for job in world.client().query.active().jobs if job.job_id == job_id]
    return note


# Records that anyone may have written ------------------------------------------------------------

SPOILED = pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        (lambda _: b"this is no JSON", RecordRejected, "not JSON as cloudq writes it"),
        (with_fields(format="2.0"), NewerFormat, "a newer cloudq wrote; this one reads 1.0: upgrade cloudq"),
        (with_fields(name="../../evil.sh"), RecordRejected, "'../../evil.sh' has a path separator"),
        (with_fields(uuid="12345678"), RecordRejected, "is the record of another job"),
        (with_fields(array_tid="1-99999999"), RecordRejected, "has more than 75000 tasks"),
        (lambda _: b"[" * 100_000, RecordRejected, "nested too deeply"),
    ],
    ids=["no JSON", "newer format", "path as name", "another job's", "huge array", "deep"],
)


@SPOILED
def test_a_job_whose_record_cannot_be_read_waits_says_why_and_stops_nobody(
    world: World, how: Spoil, kind: type[CloudqError], words: str
) -> None:
    """Once the record is repaired, the job runs."""
    alpha = world.system()
    agent = world.agent(alpha)
    bad, good = world.submit("alpha"), world.submit("alpha")
    before = spoil(world, bad, how)
    agent.until_final(good)

    assert words in note_of(world, bad)
    assert f"jobs/{bad}/manifest.json" in note_of(world, bad)
    assert [path.name for path in (alpha.home / "cache").iterdir() if path.name != ".cloudq"] == [good]

    world.store.put(f"jobs/{bad}/manifest.json", before)
    agent.until_final(bad)

    assert [start.tag.job_id for start in alpha.scheduler.starts] == [good, bad]


@SPOILED
def test_every_command_says_what_is_wrong_with_a_record_and_changes_nothing(
    world: World, how: Spoil, kind: type[CloudqError], words: str
) -> None:
    client = Client(world.client())
    job_id = world.submit("alpha")
    spoil(world, job_id, how)
    before = {key: world.body(key) for key in world.stored()}

    asks: tuple[Callable[[], object], ...] = (
        lambda: client.job(job_id),
        lambda: client.wait(job_id),
        lambda: client.explain(job_id),
        lambda: client.log(job_id),
        lambda: client.stage_out(job_id, world.tmp / "into"),
        lambda: client.cancel(job_id),
        lambda: client.delete(job_id),
    )
    for ask in asks:
        with pytest.raises(kind, match=f"jobs/{job_id}/manifest.json") as told:
            ask()
        assert words in str(told.value)
    assert {key: world.body(key) for key in world.stored()} == before
    assert not (world.tmp / "into").exists()


def test_who_deletes_a_record_that_cannot_be_read_is_told_how(world: World) -> None:
    job_id = world.submit("alpha")
    spoil(world, job_id, lambda _: b"{")

    with pytest.raises(
        RecordRejected, match=rf"remove jobs/{job_id}/ and queue/\*/{job_id}\.\* from the store"
    ):
        Client(world.client()).delete(job_id)


def test_a_record_that_names_another_job_s_directory_and_local_job_reaches_neither(world: World) -> None:
    """Canceling it must not end the other job; its own directory is computed, not read from the record."""
    alpha = world.system(behaviour=lambda *_: Script(duration_s=300, outputs={"mine": b"1"}))
    agent = world.agent(alpha)
    victim = world.submit("alpha")
    agent.cycles(3)
    owned = world.job(victim)
    thief = world.submit("alpha")
    spoil(
        world, thief,
        with_fields(
            state="RUN", claim=1, run_system="alpha", home=owned.home, workdir=owned.workdir,
            jobid=owned.jobid, time_ready="2026-01-31T12:00:00.000Z",
        ),
    )  # fmt: skip
    agent.cycles(3)
    Client(world.client()).cancel(thief)
    agent.until_final(victim)

    assert (world.job(victim).state, world.job(victim).exit_code) == (JobState.DONE, 0)
    assert [start.tag.job_id for start in alpha.scheduler.starts] == [victim]
    assert (Path(owned.workdir) / "mine").read_bytes() == b"1"


def test_a_work_directory_that_is_somebody_else_s_is_left_alone(world: World) -> None:
    """The job waits some minutes, shows the reason, and runs once the directory is free."""
    alpha = world.system()
    agent = world.agent(alpha)
    job_id, other = world.submit("alpha"), world.submit("alpha")
    strange = alpha.home / "cache" / job_id
    strange.mkdir(parents=True)
    (strange / "precious").write_text("data")
    agent.until_final(other)

    assert note_of(world, job_id) == f"{strange} exists and was not made for claim {job_id}.1"
    assert [path.name for path in strange.iterdir()] == ["precious"]

    strange.rename(alpha.home / "saved")
    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil"])
def test_an_input_that_would_be_written_elsewhere_ends_the_job_and_writes_nothing(
    world: World, name: str
) -> None:
    alpha = world.system()
    agent = world.agent(alpha)
    archive = world.tmp / "input.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(name, "evil")
    bad, good = world.submit("alpha", input_archive=archive), world.submit("alpha")
    agent.until_final(bad, good)

    assert (world.job(bad).state, world.job(good).state) == (JobState.ERROR, JobState.DONE)
    assert "would be written outside its directory" in world.job(bad).error_msg
    assert not list(world.tmp.rglob("evil"))


def test_an_output_that_would_be_written_elsewhere_is_refused_and_stays_packed(world: World) -> None:
    agent = world.agent(world.system(behaviour=lambda *_: Script(5, outputs={"result": b"1"})))
    job_id = world.submit("alpha")
    agent.until_final(job_id)
    with zipfile.ZipFile(world.tmp / "output.zip", "w") as opened:
        opened.writestr("../evil", "evil")
    world.store.put(f"jobs/{job_id}/1/output.zip", (world.tmp / "output.zip").read_bytes())
    into = world.tmp / "into"

    with pytest.raises(StagedOutInPart, match=r"'\.\./evil' would be written outside its directory"):
        Client(world.client()).stage_out(job_id, into)
    assert sorted(path.name for path in into.rglob("*")) == [job_id, "output.zip", "run.sh"]


# A store that is down for a while ----------------------------------------------------------------


class DownStore:
    """A proxy to a store that can be down, and then answers 503 to every request."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.is_down = False

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self.inner, name)

        def asked(*args: Any, **kwargs: Any) -> Any:
            if self.is_down:
                kind = OutcomeUnknown if name.startswith("put_if") else StoreUnavailable
                raise kind("bucket 'jobs' at https://store: SlowDown Please reduce your request rate")
            return ask(*args, **kwargs)

        return asked


def live(agent: Agent, seconds: float) -> None:
    """Run the daemon for a while: its heartbeats and cycles, through all failures."""
    clock = agent.world.clock
    ends = clock.elapsed() + seconds
    while clock.elapsed() < ends:
        with suppress(StoreUnavailable):  # the heartbeat is retried
            agent.parts.lease.send_heartbeat_if_due()
        agent.parts.run._once(None)


@pytest.mark.parametrize("minutes", [1, 7], ids=["a minute", "longer than a lease lives"])
def test_jobs_go_on_while_the_store_is_down_and_none_is_lost_or_doubled(world: World, minutes: int) -> None:
    store = DownStore(world.store)
    alpha = world.system(behaviour=lambda *_: Script(40, 0, "hello\n", outputs={"result": b"42"}))
    agent = world.agent(alpha, store=store)
    under_way = [world.submit("alpha"), world.submit("alpha", array="1-3")]
    live(agent, 20)
    waiting = world.submit("alpha")
    store.is_down = True
    live(agent, minutes * 60)
    unheard = {job_id: world.job(job_id).state for job_id in (*under_way, waiting)}
    told = [about["error"] for _, event, about in world.log.told if event == "not everything could be done"]
    store.is_down = False
    live(agent, 240)
    jobs = [world.job(job_id) for job_id in (*under_way, waiting)]

    assert list(unheard.values()) == [JobState.RUN, JobState.RUN, JobState.INIT]
    assert told == ["bucket 'jobs' at https://store: SlowDown Please reduce your request rate"]
    assert [event for _, event, _ in world.log.told].count("not acting") == (minutes > 1)
    assert [job.state for job in jobs] == [JobState.DONE] * 3
    assert len(alpha.scheduler.starts) == 5
    assert len(world.stored("history/")) == 3
    assert text_of(Client(world.client()).log(waiting)) == "hello\n"
    assert world.stored("queue/") == []


@define
class WorkingClock(FakeClock):
    """A clock that runs an action while a client sleeps."""

    meanwhile: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)
        self.meanwhile()


def test_a_client_waits_through_a_store_that_is_down(tmp_path: Path) -> None:
    clock = WorkingClock()
    world = World(tmp_path, clock)
    store = DownStore(world.store)
    agent = world.agent(world.system(behaviour=lambda *_: Script(30)))
    job_id = world.submit("alpha")
    agent.cycles(2)
    seen: list[JobState] = []
    downs: list[bool] = []

    def meanwhile() -> None:
        store.is_down = clock.elapsed() < 80
        downs.append(store.is_down)
        agent.cycle()

    clock.meanwhile = meanwhile
    client = Client(world.client(store))
    job = client.wait(job_id, changed=lambda job: seen.append(job.state), timeout=600, poll=5)

    assert (job.state, seen, sum(downs)) == (JobState.DONE, [JobState.RUN, JobState.DONE], 13)


@define
class FailsAt:
    """A store that answers 503 to every write below one prefix."""

    inner: Any
    part: str

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self.inner, name)
        if name not in {"put", "put_if_absent", "put_if_match", "upload"}:
            return ask

        def asked(key: str, *args: Any, **kwargs: Any) -> Any:
            if self.part in key:
                raise (OutcomeUnknown if name == "put_if_absent" else StoreUnavailable)("SlowDown")
            return ask(key, *args, **kwargs)

        return asked


@pytest.mark.parametrize("part", ["manifest.json", "/script/", "input.zip"])
def test_a_submission_that_fails_before_its_queue_entry_says_that_nothing_was_submitted(
    world: World, part: str, tmp_path: Path
) -> None:
    """The objects that were already written are invisible."""
    client = Client(world.client(FailsAt(world.store, part)))
    script = tmp_path / "run.sh"
    script.write_text("echo hello\n")

    with pytest.raises(StoreUnavailable, match=r"^The job was not submitted: .*"):
        client.submit(script, submit_to="alpha", inputs=[script])
    assert client.jobs().jobs == ()
    assert world.stored("queue/") == []


def test_a_submission_whose_queue_entry_is_not_confirmed_may_have_been_done(
    world: World, tmp_path: Path
) -> None:
    script = tmp_path / "run.sh"
    script.write_text("echo hello\n")

    with pytest.raises(MaybeSubmitted) as told:
        Client(world.client(FailsAt(world.store, "queue/"))).submit(script, submit_to="alpha")
    assert str(told.value).endswith("run.sh may have been submitted: SlowDown")
    assert told.value.exit_code == 8


def test_a_doorbell_that_does_not_ring_is_only_a_warning(world: World, tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("echo hello\n")
    agent = world.agent(world.system())
    agent.cycle()
    submitted = Client(world.client(FailsAt(world.store, "doorbell/"))).submit(script, submit_to="alpha")

    assert submitted.warnings == (
        "alpha could not be notified and will find the job a little later: SlowDown",
    )
    agent.until_final(submitted.job.uuid)


# A disk that is full for a while -----------------------------------------------------------------


@define
class FullDisk(Trap):
    """One kind of call finds no space left until there is room again."""

    step: str = ""
    is_full: bool = True
    trouble: CloudqError = field(factory=lambda: WorkspaceFull("cannot write: No space left on device"))
    met: int = field(default=0, init=False)

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        if self.is_full and name == self.step:
            self.met += 1
            if name.startswith("store."):
                raise OSError(errno.ENOSPC, "No space left on device")
            raise self.trouble
        return work()


@pytest.mark.parametrize(
    "step",
    [
        "space.create", "space.install_script", "store.read", "space.extract_input",
        "space.install_job_shell", "space.note_baseline", "space.begin_attempt",
    ],
)  # fmt: skip
def test_a_job_waits_for_room_on_a_full_disk_and_says_so(world: World, step: str) -> None:
    """The job is not lost, not submitted twice, and continues within the longest back-off."""
    alpha = world.system(behaviour=lambda *_: Script(10, outputs={"result": b"42"}))
    disk = FullDisk(step=step)
    agent = world.agent(alpha, disk)
    archive = world.tmp / "input.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("data.txt", "input")
    job_id = world.submit("alpha", input_archive=archive)
    agent.cycles(60)

    assert (world.job(job_id).state, alpha.scheduler.starts) == (JobState.INIT, [])
    assert "No space left on device" in note_of(world, job_id)
    assert 3 <= disk.met <= 10  # less and less often, not in every cycle

    disk.is_full = False
    agent.until_final(job_id, longest_s=700)

    assert (world.job(job_id).state, len(alpha.scheduler.starts)) == (JobState.DONE, 1)
    assert (alpha.home / "cache" / job_id / "data.txt").read_text() == "input"


def test_an_output_that_cannot_be_packed_on_a_full_disk_is_kept_until_it_can(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(10, 3, outputs={"result": b"42"}))
    disk = FullDisk(step="space.pack_output")
    agent = world.agent(alpha, disk)
    job_id = world.submit("alpha")
    agent.cycles(60)

    assert not world.job(job_id).is_final
    assert "No space left on device" in note_of(world, job_id)

    disk.is_full = False
    agent.until_final(job_id, longest_s=700)

    job = world.job(job_id)
    assert (job.state, job.exit_code, len(alpha.scheduler.starts)) == (JobState.ERROR, 3, 1)
    assert f"jobs/{job_id}/1/output.zip" in world.stored()


def test_a_cancel_ends_a_job_whose_output_cannot_be_brought(world: World) -> None:
    """Its files stay where they are, and the record names the place."""
    alpha = world.system(behaviour=lambda *_: Script(10, 3, outputs={"result": b"42"}))
    agent = world.agent(alpha, FullDisk(step="space.pack_output"))
    job_id = world.submit("alpha")
    agent.cycles(20)
    assert world.job(job_id).state is JobState.COMPLETING

    world.client().cancel(job_id)
    agent.until_final(job_id, longest_s=60)

    job = world.job(job_id)
    work_dir = alpha.home.resolve() / "cache" / job_id
    assert (job.state, job.exit_code, job.output_archives) == (JobState.DELETED, 3, 0)
    assert f"canceled before its outputs were in the store: they stay in {work_dir} on alpha" in job.error_msg
    assert "its script had ended: ERROR, exit code 3" in job.error_msg
    assert (work_dir / "result").read_bytes() == b"42"
    assert Client(world.client()).stage_out(job_id, world.tmp / "into").is_dir()


def test_a_canceled_job_has_its_outputs_tried_a_few_times(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(1000, outputs={"result": b"42"}))
    disk = FullDisk(step="space.pack_output")
    agent = world.agent(alpha, disk)
    job_id = world.submit("alpha")
    agent.cycles(3)
    world.client().cancel(job_id)

    agent.until_final(job_id)

    assert (world.job(job_id).state, disk.met) == (JobState.DELETED, 5)


def test_a_lease_that_lapses_while_outputs_are_brought_is_no_try(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(1000))
    lapsed = FullDisk(step="space.pack_output", trouble=LeaseLost("not renewed in time"))
    agent = world.agent(alpha, lapsed)
    job_id = world.submit("alpha")
    agent.cycles(3)
    (alpha.home / "cache" / job_id / "checkpoint").write_text("42")
    world.client().cancel(job_id)
    for _ in range(200):
        with contextlib.suppress(LeaseLost):
            agent.cycle()
        world.clock.pass_by(5)
    assert lapsed.met > 5
    lapsed.is_full = False
    workers = held_up(agent, Lane.STAGE_OUT)
    agent.cycles(2)
    workers.get_on()

    agent.until_final(job_id)

    assert (world.job(job_id).state, world.job(job_id).output_files) == (JobState.DELETED, 1)


def test_a_job_that_was_canceled_while_it_ran_brings_its_outputs(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(1000))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(3)
    (alpha.home / "cache" / job_id / "checkpoint").write_text("42")
    world.client().cancel(job_id)

    agent.until_final(job_id)

    assert (world.job(job_id).state, world.job(job_id).output_files) == (JobState.DELETED, 1)


def test_one_job_without_room_does_not_hold_up_the_others(world: World) -> None:
    alpha = world.system()
    disk = FullDisk(step="store.read")
    agent = world.agent(alpha, disk)
    archive = world.tmp / "input.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("data.txt", "input")
    large, small = world.submit("alpha", input_archive=archive), world.submit("alpha")
    agent.until_final(small, longest_s=20 * POLL_S)

    assert note_of(world, large).startswith("cannot download the input to ")


# Impossible requests -----------------------------------------------------------------------------


def test_a_job_that_holds_for_one_whose_record_cannot_be_read_waits(world: World) -> None:
    """It is unknown whether the other job is final: starting this one would be a guess."""
    alpha = world.system(behaviour=lambda *_: Script(duration_s=60))
    agent = world.agent(alpha)
    first = world.submit("alpha")
    second = world.submit("alpha", hold_jid=(first,))
    agent.cycles(2)
    before = spoil(world, first, lambda _: b"{")
    agent.cycles(4)

    assert [start.tag.job_id for start in alpha.scheduler.starts] == [first]

    world.store.put(f"jobs/{first}/manifest.json", before)
    agent.until_final(first, second)


def test_options_that_cannot_be_split_end_a_job_that_somebody_else_wrote(world: World) -> None:
    """The client rejects them; a record from elsewhere may still contain them."""
    agent = world.agent(world.system())
    bad, good = world.submit("alpha"), world.submit("alpha")
    spoil(world, bad, with_fields(submit_opt='--comment="a b'))
    agent.until_final(good)
    agent.until_final(bad)

    assert world.job(bad).state is JobState.ERROR
    assert "cannot be split into words: No closing quotation" in world.job(bad).error_msg


def test_options_that_cannot_be_split_are_refused_by_the_client(world: World) -> None:
    script = world.tmp / "run.sh"
    script.write_text("echo hello\n")

    with pytest.raises(InvalidInput, match="cannot be split into words: No closing quotation"):
        Client(world.client()).submit(script, submit_to="alpha", submit_opt='--comment="a b')
    assert world.stored() == []
