"""Growing logs are uploaded in the background, in bounded turns, and delay nothing."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define

from cloudq.adapters.job_repository import BucketJobFiles, BucketJobQueue
from cloudq.application.agent import ship_logs
from cloudq.domain.errors import StoreUnavailable
from cloudq.domain.jobs.job_state import JobState
from cloudq.ports.workers import Lane
from tests.parts.held_up_workers import held_up
from tests.parts.scripted_scheduler import Script
from tests.parts.world import Agent, System, World, text_of

SECONDS = 60


@pytest.fixture
def alpha(world: World) -> System:
    return world.system(behaviour=lambda *_: Script(SECONDS, stdout="0123456789" * 10))


@pytest.fixture
def agent(world: World, alpha: System) -> Agent:
    return world.agent(alpha)


def followed(world: World, agent: Agent) -> str:
    """Return a running job whose log is being followed."""
    job_id = world.submit("alpha")
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    queue = BucketJobQueue(world.store, world.ids)
    queue.request_follow("alpha", world.job(job_id).tag)
    queue.ring("alpha")
    return job_id


def log_of(world: World, job_id: str) -> str:
    files = BucketJobFiles(world.store, world.ids)
    return text_of(files.log_pieces(world.job(job_id).tag, "stdout", None))


def grow_log(agent: Agent, job_id: str, text: str) -> None:
    held = next(held for tag, held in agent.parts.holdings.held.items() if tag.job_id == job_id)
    held.space.log_path("stdout", None).write_text(text)


def test_log_that_takes_for_ever_holds_up_no_submission_and_no_cancel(world: World, agent: Agent) -> None:
    chatty = followed(world, agent)
    workers = held_up(agent, Lane.SHIP)
    grow_log(agent, chatty, "x" * 1000)
    agent.cycle()
    assert len(workers.waiting) == 1

    other = world.submit("alpha")
    agent.cycles(2)
    assert world.job(other).state is JobState.RUN
    world.client().cancel(chatty)
    agent.cycles(2)

    assert len(workers.waiting) == 1
    assert world.job(other).state is JobState.RUN
    assert world.job(chatty).state in {JobState.DELETING, JobState.COMPLETING}
    workers.get_on()
    agent.until_final(chatty)
    assert world.job(chatty).state is JobState.DELETED


def test_no_piece_comes_after_the_whole_log(world: World, agent: Agent) -> None:
    job_id = followed(world, agent)
    workers = held_up(agent, Lane.SHIP)
    grow_log(agent, job_id, "x" * 1000)
    agent.cycle()
    world.clock.pass_by(SECONDS)
    agent.cycles(3)
    assert not world.job(job_id).is_final

    workers.get_on()
    agent.until_final(job_id)

    assert [key for key in world.stored(f"jobs/{job_id}/") if "/log/" in key] == []


def test_turn_is_bounded_and_the_next_one_goes_on(
    world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ship_logs._Limit, "__init__", lambda self, _: _bounded(self))
    agent.parts.run.cycle.ship_logs._piece_bytes = 100
    job_id = followed(world, agent)
    text = "".join(f"{n:9}\n" for n in range(100))
    grow_log(agent, job_id, text)

    agent.cycle()
    held = next(iter(agent.parts.holdings.held.values()))
    assert (log_of(world, job_id), held.logs.is_behind) == (text[:300], True)
    agent.cycles(3, every_s=0.1)

    assert log_of(world, job_id) == text
    assert not held.logs.is_behind


def _bounded(turn: Any) -> None:
    turn.ends_at, turn.left_bytes = 1e9, 300


def test_pieces_get_smaller_on_a_slow_line_and_bigger_again(world: World, agent: Agent) -> None:
    ship = agent.parts.run.cycle.ship_logs
    for _ in range(3):
        ship._adapt(ship._piece_bytes, 3.0)
    assert ship._piece_bytes == ship_logs.MAX_PIECE_BYTES // 8

    for _ in range(9):
        ship._adapt(ship._piece_bytes, 0.1)

    assert ship._piece_bytes == ship_logs.MAX_PIECE_BYTES


def test_logs_that_cannot_be_brought_hold_up_nothing_else_of_the_job(world: World, alpha: System) -> None:
    agent = world.agent(alpha, store=NoPieces(world.store))  # type: ignore[arg-type]
    job_id = followed(world, agent)
    grow_log(agent, job_id, "x" * 1000)
    agent.cycles(3)
    held = next(iter(agent.parts.holdings.held.values()))
    assert (held.logs.retries > 0, held.retry_at) == (True, 0.0)

    world.client().cancel(job_id)
    agent.cycles(2)

    assert world.job(job_id).state is JobState.DELETED


@define
class NoPieces:
    """A store that accepts no piece of a log."""

    inner: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def put(self, key: str, body: bytes) -> str:
        if "/log/" in key:
            raise StoreUnavailable("no answer")
        etag: str = self.inner.put(key, body)
        return etag
