"""Defects of the original that no other test tries on cloudq (docs/peer-defects.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import define

from cloudq.client import Client
from cloudq.domain.errors import OutcomeUnknown
from cloudq.domain.jobs.job_state import JobState
from tests.parts.scripted_scheduler import Script
from tests.parts.world import World, text_of


@define
class RefusesRecords:
    """A store that rejects every rewrite of a job's record for as long as a test wants."""

    inner: Any
    is_refusing: bool = False
    refused: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        if self.is_refusing and key.endswith("/manifest.json"):
            self.refused += 1
            raise OutcomeUnknown("no answer")
        answer: str = self.inner.put_if_match(key, body, etag)
        return answer


def test_a_submission_that_cannot_be_recorded_for_minutes_is_not_repeated(world: World) -> None:
    """The original ran such a job thirteen times in a minute."""
    store = RefusesRecords(world.store, is_refusing=True)
    alpha = world.system(behaviour=lambda *_: Script(30, 0, "hello\n"))
    agent = world.agent(alpha, store=store)
    job_id = world.submit("alpha")
    agent.cycles(60)
    assert world.job(job_id).state is JobState.INIT
    assert store.refused > 1

    store.is_refusing = False
    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert len(alpha.scheduler.submissions) == len(alpha.scheduler.starts) == 1


def test_an_agent_that_dies_before_a_submission_is_recorded_leaves_it_to_its_successor(world: World) -> None:
    store = RefusesRecords(world.store, is_refusing=True)
    alpha = world.system(behaviour=lambda *_: Script(300))
    first = world.agent(alpha, store=store)
    job_id = world.submit("alpha")
    first.cycles(2)
    assert len(alpha.scheduler.submissions) == 1
    first.die()

    world.agent(alpha).until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert len(alpha.scheduler.submissions) == 1


def test_a_job_behind_more_keys_than_a_list_has_runs(world: World) -> None:
    """The original never saw the keys after the first thousand."""
    agent = world.agent(world.system())
    for number in range(1100):
        world.store.put(f"queue/alpha/00000000.{number + 2}", b"")
    job_id = world.submit("alpha")

    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE


def test_a_task_that_fails_ends_neither_its_array_nor_the_files_of_the_others(world: World) -> None:
    """The original failed the whole array at once and deleted the files that the other tasks worked on."""

    def behaviour(_: object, task: int | None) -> Script:
        return Script(5, 7, "") if task == 1 else Script(600, 0, "late\n", outputs={"late": b"42"})

    alpha = world.system(behaviour=behaviour)
    agent = world.agent(alpha)
    job_id = world.submit("alpha", array="1-2")
    agent.until(lambda: JobState.ERROR in {each.state for _, each in world.job(job_id).tasks.items()})
    meanwhile = world.job(job_id)
    assert (meanwhile.state, Path(meanwhile.workdir).is_dir()) == (JobState.RUN, True)

    agent.until_final(job_id)

    job, client = world.job(job_id), Client(world.client())
    assert (job.state, job.exit_code) == (JobState.ERROR, 7)
    assert text_of(client.log(job_id, tid=2)) == "late\n"
    assert (client.stage_out(job_id, world.tmp / "got") / "output" / "late").read_bytes() == b"42"
