"""No slow step delays a cycle: preparations and submit commands run in the background."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.application.agent.held_job import HandOverWork, HeldJob
from cloudq.application.agent.prepare_job import SMALL_INPUT_BYTES
from cloudq.domain.errors import WorkspaceProblem
from cloudq.domain.jobs.job_state import JobState
from cloudq.ports.workers import Lane
from cloudq.ports.workspace import SpaceOwner
from tests.parts.held_up_workers import held_up
from tests.parts.inline_workers import InlineWorkers
from tests.parts.scripted_scheduler import Script
from tests.parts.trap import During
from tests.parts.world import SCRIPT, Agent, System, World

LONG = Script(100_000)


def submit_with_input(world: World, size: int) -> str:
    archive = world.tmp / "input.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("data.bin", random.Random(size).randbytes(size))
    return world.submit("alpha", input_archive=archive)


@pytest.fixture
def alpha(world: World) -> System:
    return world.system(behaviour=lambda *_: LONG)


@pytest.fixture
def agent(world: World, alpha: System) -> Agent:
    return world.agent(alpha)


def states(world: World, *job_ids: str) -> list[JobState]:
    return [world.job(each).state for each in job_ids]


# Downloads --------------------------------------------------------------------------------------


def test_download_that_does_not_end_holds_up_no_other_job(world: World, agent: Agent) -> None:
    held_up(agent, Lane.DOWNLOAD)
    big = submit_with_input(world, SMALL_INPUT_BYTES + 1)
    small = submit_with_input(world, 1000)
    plain = world.submit("alpha")

    agent.cycles(2)

    assert states(world, big, small, plain) == [JobState.INIT, JobState.RUN, JobState.RUN]


def test_canceled_job_ends_at_once_while_its_input_downloads(
    world: World, alpha: System, agent: Agent
) -> None:
    workers = held_up(agent, Lane.DOWNLOAD)
    job_id = submit_with_input(world, SMALL_INPUT_BYTES + 1)
    agent.cycles(2)
    alpha.scheduler.unavailable = True
    world.client().cancel(job_id)

    agent.cycle()

    assert states(world, job_id) == [JobState.DELETED]
    workers.get_on()
    alpha.scheduler.unavailable = False
    agent.cycles(5)
    assert alpha.scheduler.submissions == []
    assert unpublished(alpha) == []


def test_download_ends_between_two_pieces_once_its_job_is_canceled(world: World, alpha: System) -> None:
    store = InterruptedReads(world.store)
    agent = world.agent(alpha, store=store)  # type: ignore[arg-type]
    workers = held_up(agent, Lane.DOWNLOAD)
    job_id = submit_with_input(world, SMALL_INPUT_BYTES + 1)
    agent.cycles(2)
    store.meanwhile = lambda: (world.client().cancel(job_id), agent.cycle())

    workers.get_on()

    assert store.pieces == 2
    assert states(world, job_id) == [JobState.DELETED]
    assert unpublished(alpha) == []


def test_download_ends_when_the_agent_stops(world: World, alpha: System) -> None:
    store = InterruptedReads(world.store)
    agent = world.agent(alpha, store=store)  # type: ignore[arg-type]
    workers = held_up(agent, Lane.DOWNLOAD)
    job_id = submit_with_input(world, SMALL_INPUT_BYTES + 1)
    agent.cycles(2)
    store.meanwhile = agent.parts.run.stop

    workers.get_on()

    assert store.pieces == 2
    assert unpublished(alpha) == []
    successor = world.agent(alpha)
    agent.parts.lease.release()
    successor.until(lambda: bool(alpha.scheduler.starts))
    assert states(world, job_id) == [JobState.RUN]


def test_work_whose_lease_is_gone_publishes_nothing(world: World, alpha: System, agent: Agent) -> None:
    workers = held_up(agent, Lane.DOWNLOAD)
    job_id = submit_with_input(world, SMALL_INPUT_BYTES + 1)
    agent.cycles(2)
    world.clock.pass_by(400)
    successor = world.agent(alpha, host="login2")
    held_up(successor, Lane.DOWNLOAD)
    successor.until(lambda: not successor.parts.lease.is_lapsed())
    successor.cycle()

    workers.get_on()

    assert not (alpha.home / "cache" / job_id).exists()
    assert not (alpha.home / "cache" / ".cloudq" / f"{job_id}.1").exists()


def test_lease_that_was_late_for_a_moment_begins_the_download_anew(
    world: World, alpha: System, agent: Agent
) -> None:
    workers = held_up(agent, Lane.DOWNLOAD)
    submit_with_input(world, SMALL_INPUT_BYTES + 1)
    agent.cycles(2)
    world.clock.pass_by(100)
    workers.get_on()
    agent.cycles(2)

    workers.get_on()
    agent.cycles(2)

    assert len(alpha.scheduler.starts) == 1


def test_input_that_is_bigger_than_its_record_says_goes_among_the_big_ones(
    world: World, alpha: System, agent: Agent
) -> None:
    workers = held_up(agent, Lane.DOWNLOAD)
    job_id = submit_with_input(world, SMALL_INPUT_BYTES + 1)
    manifest = json.loads(world.body(f"jobs/{job_id}/manifest.json"))
    world.store.put(f"jobs/{job_id}/manifest.json", json.dumps({**manifest, "size_input": 5}).encode())

    agent.cycle()

    assert [each.lane for each in workers.waiting] == [Lane.DOWNLOAD]
    workers.get_on()
    agent.cycles(2)
    assert states(world, job_id) == [JobState.RUN]


# Preparation ------------------------------------------------------------------------------------


def test_two_agents_of_one_home_publish_one_preparation(world: World, alpha: System, agent: Agent) -> None:
    """The first agent is paused during its download, and continues after the script has started."""
    held_up(agent, Lane.DOWNLOAD)
    job_id = submit_with_input(world, SMALL_INPUT_BYTES + 1)
    agent.cycles(2)
    successor = world.agent(alpha, host="login2")
    successor.until(lambda: bool(alpha.scheduler.starts))
    data = alpha.home / "cache" / job_id / "data.bin"
    before = data.stat()
    agent.parts.run.permits.lease = EndlessLease(agent.parts.lease.epoch)  # type: ignore[assignment]

    with pytest.raises(WorkspaceProblem, match="another agent created"):
        agent.parts.run.cycle.hand_over_jobs.prepare(work_of(agent, job_id), Lane.DOWNLOAD)

    assert data.stat() == before
    assert unpublished(alpha) == []


# Files that an older agent made in place --------------------------------------------------------


def test_files_that_an_older_agent_left_half_made_are_made_anew(
    world: World, alpha: System, agent: Agent
) -> None:
    job_id = world.submit("alpha")
    space = as_an_older_agent(world, agent, job_id)
    (space.work_dir / "run.sh").write_text("half")

    agent.until(lambda: bool(alpha.scheduler.starts))

    assert (space.work_dir / "run.sh").read_bytes() == SCRIPT.body


def test_files_that_an_older_agent_had_ready_are_submitted_as_they_are(
    world: World, alpha: System, agent: Agent
) -> None:
    job_id = world.submit("alpha")
    space = as_an_older_agent(world, agent, job_id)
    space.install_script("run.sh", SCRIPT.body)
    space.job_shell.write_text("#!/bin/bash\n# by the older agent\n")
    space.note_baseline()

    agent.until(lambda: bool(alpha.scheduler.starts))

    assert space.job_shell.read_text() == "#!/bin/bash\n# by the older agent\n"


def test_start_that_was_blocked_before_anything_was_ready_stays_blocked(
    world: World, alpha: System, agent: Agent
) -> None:
    job_id = world.submit("alpha")
    as_an_older_agent(world, agent, job_id).block(None)

    agent.until_final(job_id)

    assert states(world, job_id) == [JobState.ERROR]
    assert "ended before its start" in world.job(job_id).error_msg
    assert alpha.scheduler.submissions == []


def as_an_older_agent(world: World, agent: Agent, job_id: str) -> DirectoryClaimSpace:
    """Claim the job, and start with its files in place, as older agents made them."""
    held_up(agent, Lane.PREPARE)
    agent.cycles(2)
    held = held_by(agent, job_id)
    space = DirectoryWorkspace(world.tmp / "alpha", world.clock, world.ids).space(held.tag)
    space.create(SpaceOwner("alpha", held.tag, held.claim_nonce))
    agent.parts.run.cycle.hand_over_jobs._under_way.clear()
    held.hand_over = None
    agent.parts.run.cycle.hand_over_jobs.workers = InlineWorkers()
    return space


# Submit commands --------------------------------------------------------------------------------


def test_submit_command_that_hangs_holds_up_no_state_and_no_cancel(
    world: World, alpha: System, agent: Agent
) -> None:
    running = world.submit("alpha")
    agent.cycles(2)
    workers = held_up(agent, Lane.SUBMIT)
    world.submit("alpha")
    agent.cycles(2)
    world.client().cancel(running)

    agent.cycles(2)

    assert states(world, running) == [JobState.DELETED]
    assert len(workers.waiting) == 1


def test_no_submission_follows_a_cancel(world: World, alpha: System, agent: Agent) -> None:
    workers = held_up(agent, Lane.SUBMIT)
    job_id = world.submit("alpha")
    agent.cycles(2)
    world.client().cancel(job_id)
    agent.cycle()
    assert states(world, job_id) == [JobState.DELETED]

    workers.get_on()
    agent.cycles(5)

    assert alpha.scheduler.submissions == []


def test_cancel_during_a_submit_command_ends_the_job_and_what_was_submitted(
    world: World, alpha: System
) -> None:
    during = During(name="scheduler.submit", meanwhile=lambda: None)
    agent = world.agent(alpha, during)
    alpha.scheduler.holds_queue = True
    workers = held_up(agent, Lane.SUBMIT)
    job_id = world.submit("alpha")
    agent.cycles(2)
    during.meanwhile = lambda: (world.client().cancel(job_id), agent.cycle())

    workers.get_on()
    assert states(world, job_id) == [JobState.DELETED]
    agent.cycle()

    assert alpha.scheduler.canceled == ["1"]
    alpha.scheduler.holds_queue = False
    agent.cycles(5)
    assert alpha.scheduler.starts == []


def test_successor_finds_a_submission_that_its_predecessor_had_under_way(
    world: World, alpha: System, agent: Agent
) -> None:
    workers = held_up(agent, Lane.SUBMIT)
    job_id = world.submit("alpha")
    agent.cycles(2)
    world.clock.pass_by(400)
    agent.cycles(1)
    workers.get_on()

    workers.lanes = frozenset()
    agent.cycles(3)

    assert states(world, job_id) == [JobState.RUN]
    assert len(alpha.scheduler.submissions) == 1


def test_one_shot_agent_waits_for_its_background_work(world: World, alpha: System) -> None:
    agent = world.agent(alpha, one_shot=True)
    workers = held_up(agent, Lane.DOWNLOAD)
    submit_with_input(world, SMALL_INPUT_BYTES + 1)
    agent.parts.run.clock = SleepThenDo(world.clock, workers.get_on)  # type: ignore[assignment]

    agent.parts.run.one_cycle()

    assert len(alpha.scheduler.submissions) == 1


def test_one_shot_agent_tries_nothing_again_while_it_waits(world: World, alpha: System) -> None:
    """The agent keeps looking for jobs whose files another home has, so one of them would always be due."""
    owner = world.agent(alpha)
    held_up(owner, Lane.SUBMIT)
    for _ in range(70):
        world.submit("alpha")
    owner.cycles(3)
    owner.parts.run._give_back()
    agent = world.agent(evolve(alpha, home=world.tmp / "other home"), one_shot=True)
    workers = held_up(agent, Lane.SUBMIT)
    sleeps = []

    def answer_one() -> None:
        sleeps.append(world.clock.elapsed())
        assert len(sleeps) < 500
        if workers.waiting:
            workers.waiting.pop(0).get_on()

    agent.parts.run.clock = SleepThenDo(world.clock, answer_one)  # type: ignore[assignment]

    agent.parts.run.one_cycle()

    assert len(sleeps) >= 70
    assert alpha.scheduler.submissions == []


# Helpers ----------------------------------------------------------------------------------------


def unpublished(system: System) -> list[Path]:
    return list((system.home / "cache" / ".cloudq").glob(".making.*"))


def held_by(agent: Agent, job_id: str) -> HeldJob:
    return next(held for tag, held in agent.parts.holdings.held.items() if tag.job_id == job_id)


def work_of(agent: Agent, job_id: str) -> HandOverWork:
    held, permit = held_by(agent, job_id), agent.parts.run.permits.issue()
    return HandOverWork(held.job, held.space, held.owner("alpha"), False, None, permit)


@define
class EndlessLease:
    """The lease as seen by a process that was paused together with its clocks."""

    epoch: int

    def require(self) -> None:
        """Raise nothing: as far as the process can see, it may act."""


@define
class SleepThenDo:
    """A clock that runs an action while it sleeps."""

    inner: Any
    work: Callable[[], None]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def sleep(self, seconds: float) -> None:
        self.inner.pass_by(seconds)
        self.work()


@define
class InterruptedReads:
    """A store that runs an action after the first piece of a bulk read."""

    inner: Any
    meanwhile: Callable[[], object] | None = None
    pieces: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def read(self, key: str) -> Iterator[bytes]:
        for piece in self.inner.read(key):
            self.pieces += 1
            if self.pieces == 2 and self.meanwhile is not None:
                self.meanwhile()
            yield piece


# Reports of agents about it ----------------------------------------------------------------------


def test_agent_tells_with_its_heartbeat_what_it_is_busy_with(world: World, agent: Agent) -> None:
    workers = held_up(agent, Lane.DOWNLOAD, Lane.SUBMIT)
    submit_with_input(world, SMALL_INPUT_BYTES + 1)
    world.submit("alpha")
    agent.cycles(2)
    world.clock.pass_by(60)
    agent.cycle()

    [report] = world.client().list_agents()

    assert report.busy == "downloading inputs of 1 job (0 of 8 MB), submitting 1 job"
    workers.get_on()
    agent.cycles(2)
    assert agent.parts.lease.busy == "submitting 1 job"


def test_idle_agent_tells_of_nothing(agent: Agent) -> None:
    agent.cycles(2)

    assert agent.parts.lease.busy == ""
