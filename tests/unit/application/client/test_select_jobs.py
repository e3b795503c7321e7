"""Which jobs a user means: ids, beginnings of ids, ``last``, conditions; and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from cloudq.adapters.job_repository import BucketJobFiles, BucketJobQueue, BucketJobRepository, keys
from cloudq.client import Client
from cloudq.domain.errors import AmbiguousJobId, InvalidInput, JobNotFound
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.selector import Selector
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.jobscript import Jobscript
from tests.builders import a_finished_job, a_job, at
from tests.parts.counting_store import CountingStore
from tests.parts.dict_memory import DictMemory
from tests.parts.scripted_scheduler import Script
from tests.parts.world import World


@pytest.fixture
def store(world: World) -> CountingStore:
    world.store = CountingStore(world.store)
    return world.store


@pytest.fixture
def client(world: World, store: CountingStore) -> Iterator[Client]:
    world.memory = DictMemory()
    with Client(world.client()) as client:
        yield client


def put(world: World, *jobs: Job) -> None:
    """Put jobs into the store, each with its queue entry or history entry."""
    parts = world.store, world.ids
    records, queue, files = BucketJobRepository(*parts), BucketJobQueue(*parts), BucketJobFiles(*parts)
    for job in jobs:
        records.reserve(job)
        files.put_script(job.uuid, Jobscript(job.name, b"#!/bin/bash\n"))
        if job.is_final:
            records.put_history(records.history_key(job))
        else:
            queue.invite(job.submit_to, ClaimTag(job.uuid, 1))


def put_history(world: World, count: int, **fields: object) -> None:
    """Put the history entries of *count* jobs, one of which ended per second."""
    records = BucketJobRepository(world.store, world.ids)
    for n in range(count):
        records.put_history(records.history_key(a_finished_job(f"{n:08x}", at(n), **fields)))


class TestIds:
    def test_a_whole_id_costs_no_request(self, client: Client, store: CountingStore) -> None:
        assert client.resolve("3f7e7681") == "3f7e7681"
        assert store.counts == {}

    def test_the_beginning_of_an_id_costs_one_list(
        self, world: World, client: Client, store: CountingStore
    ) -> None:
        put(world, a_job())
        store.reset()

        assert client.resolve("3") == "3f7e7681"
        assert store.counts == {"LIST": 1}

    def test_an_ambiguous_beginning_names_the_candidates(self, world: World, client: Client) -> None:
        put(world, a_job(), a_job(uuid="3f000000"))

        with pytest.raises(AmbiguousJobId, match="several job ids: 3f000000, 3f7e7681") as error:
            client.resolve("3f")
        assert error.value.job_ids == ("3f000000", "3f7e7681")

    def test_of_very_many_candidates_some_are_named(self, world: World, client: Client) -> None:
        put(world, *(a_job(uuid=f"3f0000{n:02x}") for n in range(100)))

        with pytest.raises(AmbiguousJobId, match=r"3f000009, …$"):
            client.resolve("3f")

    def test_a_beginning_of_no_id_is_not_found(self, client: Client) -> None:
        with pytest.raises(JobNotFound, match=r"No job has an id that begins with 3f\."):
            client.resolve("3f")

    @pytest.mark.parametrize("text", ["", "3F7E", "xyz", "3f7e76811", "../../etc", "LAST", "3f,4a"])
    def test_anything_else_is_refused_without_a_request(
        self, client: Client, store: CountingStore, text: str
    ) -> None:
        with pytest.raises(InvalidInput, match="is not a job id"):
            client.resolve(text)
        assert store.counts == {}

    def test_methods_accept_the_beginning_of_an_id(self, world: World, client: Client) -> None:
        put(world, a_job())

        assert client.job("3f7e").uuid == "3f7e7681"
        client.cancel("3f7e")
        assert client.job("3").state is JobState.DELETED

    def test_dependencies_may_be_shortened(self, world: World, client: Client, tmp_path: Path) -> None:
        put(world, a_job(), a_job(uuid="4a000000"))
        script = tmp_path / "run.sh"
        script.write_text("#!/bin/bash\n")
        job = client.submit(script, submit_to="alpha", hold_jid="3f,4a", hold_ok_jid="4", force=True).job

        assert (job.hold_jid, job.hold_ok_jid) == (("3f7e7681", "4a000000"), ("4a000000",))


class TestLast:
    def test_last_is_the_job_that_was_submitted_here(
        self, world: World, client: Client, store: CountingStore
    ) -> None:
        job_id = world.submit()
        put(world, a_job(time_submit=at(3600)))
        store.reset()

        assert client.resolve("last") == job_id
        assert store.counts == {}

    def test_a_job_that_was_refused_is_not_the_last(self, world: World, client: Client) -> None:
        job_id = world.submit()
        with pytest.raises(JobNotFound):
            client.rerun("12345678")

        assert client.resolve("last") == job_id

    def test_elsewhere_it_is_the_newest_job_in_the_store(self, world: World, client: Client) -> None:
        put(world, a_job(uuid="00000001", time_submit=at(5)), a_job(uuid="00000002", time_submit=at(9)))

        assert client.resolve("last") == "00000002"

    def test_the_newest_job_may_have_ended_before_older_ones(self, world: World, client: Client) -> None:
        put(
            world,
            a_job(uuid="00000001", time_submit=at(5)),
            a_finished_job("00000002", at(30), time_submit=at(1)),
            a_finished_job("00000003", at(20), time_submit=at(9)),
        )

        assert client.resolve("last") == "00000003"

    def test_a_long_history_is_not_read_to_its_end(
        self, world: World, client: Client, store: CountingStore
    ) -> None:
        put_history(world, 3000)
        put(world, a_job(uuid="ffffffff", time_submit=at(2990)))
        store.reset()

        assert client.resolve("last") == "ffffffff"
        assert store.counts["LIST"] == 3  # systems, queues, and one page of the history

    def test_in_an_empty_store_there_is_none(self, client: Client) -> None:
        with pytest.raises(JobNotFound, match="There is no job in the store"):
            client.resolve("last")


class TestUnfinished:
    def test_conditions_are_met_by_summaries_without_reading_a_record(
        self, world: World, client: Client, store: CountingStore
    ) -> None:
        put(world, *(a_job(uuid=f"{n:08x}", labels=(f"run={n % 2}",)) for n in range(100)))
        put_history(world, 10_000)
        agent = world.agent(world.system(behaviour=lambda *_: Script(10**6)))
        agent.cycles(3)
        store.reset()

        jobs = client.jobs(Selector.parse(labels=["run=1"])).jobs
        assert [job.job_id for job in jobs] == [f"{n:08x}" for n in range(1, 100, 2)]
        assert store.counts == {"LIST": 2, "GET": 1}

    def test_a_job_that_no_agent_lists_is_read(self, world: World, client: Client) -> None:
        put(world, a_job(labels=("a=1",)), a_job(uuid="00000001"))

        assert [job.job_id for job in client.jobs(Selector.parse(labels=["a=1"])).jobs] == ["3f7e7681"]

    def test_a_system_s_jobs_are_those_that_it_runs_or_is_offered(self, world: World, client: Client) -> None:
        put(world, a_job(), a_job(uuid="00000001", submit_to="beta", invited=("beta",)))

        assert [job.job_id for job in client.jobs(Selector.parse(system="beta")).jobs] == ["00000001"]
        assert client.jobs(Selector.parse(system="gamma")).jobs == ()

    def test_since_means_the_submission(self, world: World, client: Client) -> None:
        put(world, a_job(time_submit=at(-7200)), a_job(uuid="00000001", time_submit=at(-600)))

        assert [job.job_id for job in client.jobs(Selector.parse(since="1h")).jobs] == ["00000001"]

    def test_a_job_that_cannot_be_read_is_named_not_silently_left_out(
        self, world: World, client: Client, store: CountingStore
    ) -> None:
        put(world, a_job())
        store.put(keys.manifest("3f7e7681"), b"garbage")
        active = client.jobs(Selector.parse(states=["INIT"]))

        assert active.jobs == ()
        assert active.warnings[-1] == "Job (3f7e7681) is left out, because its record cannot be read."


class TestFinished:
    def test_since_stops_the_listing_early(self, world: World, client: Client, store: CountingStore) -> None:
        put_history(world, 10_000)
        world.clock.pass_by(10_000)
        store.reset()

        assert len(list(client.history(selector=Selector.parse(since="100s")))) == 100
        assert store.counts == {"LIST": 1}

    def test_conditions_are_met_by_keys_without_reading_a_record(
        self, world: World, client: Client, store: CountingStore
    ) -> None:
        put_history(world, 10_000, labels=("a=1",))
        put(world, a_finished_job("ffffffff", at(50), exit_code=3, labels=("a=2",)))
        store.reset()
        selector = Selector.parse(labels=["a=2"], states=["ERROR"], name="run*", system="alpha")
        [entry] = client.history(selector=selector)

        assert (entry.job_id, entry.exit_code, entry.labels) == ("ffffffff", 3, ("a=2",))
        assert store.counts == {"LIST": 11}

    def test_the_last_few_that_are_selected_are_the_newest(
        self, world: World, client: Client, store: CountingStore
    ) -> None:
        put_history(world, 3000)
        store.reset()
        entries = list(client.history(2, Selector.parse(states=["DONE"])))

        assert [entry.job_id for entry in entries] == [f"{2999:08x}", f"{2998:08x}"]
        assert store.counts == {"LIST": 1}

    def test_chosen_jobs_are_deleted_in_few_requests(
        self, world: World, client: Client, store: CountingStore
    ) -> None:
        put(world, *(a_finished_job(f"{n:08x}", at(n), labels=(f"a={n % 2}",)) for n in range(200)))
        store.reset()
        chosen = {entry.job_id for entry in client.history(selector=Selector.parse(labels=["a=1"]))}

        assert set(client.delete_finished(chosen)) == chosen
        assert sum(store.counts.values()) < 10
        assert len(list(client.history())) == 100

    def test_a_record_keeps_its_labels_until_the_history(self, world: World, client: Client) -> None:
        put(world, evolve(a_job(), labels=("a=1",)))
        agent = world.agent(world.system())
        agent.cycle()
        agent.until_final("3f7e7681")
        agent.cycles(2)
        [entry] = client.history(selector=Selector.parse(labels=["a=1"]))

        assert (entry.state, entry.exit_code) == (JobState.DONE, 0)
        assert entry.time_ready is not None
