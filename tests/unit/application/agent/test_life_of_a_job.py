"""A job from submit to its final state in the bucket."""

from __future__ import annotations

import pytest

from cloudq.application.shared.cancel_job import CancelResult
from cloudq.domain.errors import InvalidInput, JobStateConflict
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import ClaimTag
from tests.parts.scripted_scheduler import Script
from tests.parts.world import World, text_of


def test_a_job_is_run_and_its_results_are_in_the_bucket(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(12, 0, "hello\n", "oh\n", {"result.txt": b"42"}))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")

    agent.until_final(job_id)

    job = world.job(job_id)
    assert (job.state, job.exit_code, job.error_msg) == (JobState.DONE, 0, "")
    assert [change.state.value for change in job.changes] == ["INIT", "READY", "RUN", "DONE"]
    assert text_of(world.client().read_log.of_job(job, "stdout", None)) == "hello\n"
    assert text_of(world.client().read_log.of_job(job, "stderr", None)) == "oh\n"
    assert f"jobs/{job_id}/1/output.zip" in world.stored()
    assert len(alpha.scheduler.starts) == 1


def test_nothing_is_left_under_the_queue_once_a_job_is_over(world: World) -> None:
    agent = world.agent(world.system())
    job_id = world.submit("alpha")

    agent.until_final(job_id)
    agent.cycles(3)

    assert world.stored("queue/") == []
    assert [entry.job_id for entry in world.client().query.history()] == [job_id]
    assert world.client().query.active().jobs == ()


def test_exit_code_3_is_an_error_with_that_code(world: World) -> None:
    agent = world.agent(world.system(behaviour=lambda *_: Script(exit_code=3)))
    job_id = world.submit("alpha")

    agent.until_final(job_id)

    assert (world.job(job_id).state, world.job(job_id).exit_code) == (JobState.ERROR, 3)


def test_a_job_over_its_time_limit_is_a_timeout(world: World) -> None:
    agent = world.agent(world.system(behaviour=lambda *_: Script(duration_s=500)))
    job_id = world.submit("alpha", submit_opt="--time 60s")

    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.TIMEOUT


def test_an_array_with_one_failing_task_is_an_error_with_every_task_told(world: World) -> None:
    def behaviour(_: object, task: int | None) -> Script:
        return Script(10, 1 if task == 2 else 0, f"task {task}\n", outputs={f"out.{task}": b"x"})

    agent = world.agent(world.system(behaviour=behaviour))
    job_id = world.submit("alpha", array="1-4")

    agent.until_final(job_id)

    job = world.job(job_id)
    assert (job.state, job.exit_code) == (JobState.ERROR, 1)
    assert job.error_msg == "task 2: ERROR, exit code 1"
    assert {task: (each.state.value, each.exit_code) for task, each in job.tasks.items()} == {
        1: ("DONE", 0), 2: ("ERROR", 1), 3: ("DONE", 0), 4: ("DONE", 0),
    }  # fmt: skip
    for task in range(1, 5):
        assert text_of(world.client().read_log.of_job(job, "stdout", task)) == f"task {task}\n"


def test_a_task_that_is_canceled_ends_and_the_others_go_on(world: World) -> None:
    """One task runs, one never started; the requests are deleted once the record has the final states."""
    alpha = world.system(behaviour=lambda *_: Script(60), slots=2)
    agent = world.agent(alpha)
    job_id = world.submit("alpha", array="1-4")
    agent.cycles(3)
    for task in (1, 3):
        assert world.client().cancel.task(job_id, task) is CancelResult.REQUESTED
    agent.cycle()
    agent.die()
    agent = world.agent(alpha)
    agent.until_final(job_id)
    agent.cycles(2)

    job = world.job(job_id)
    assert {task: each.state.value for task, each in job.tasks.items()} == {
        1: "DELETED", 2: "DONE", 3: "DELETED", 4: "DONE",
    }  # fmt: skip
    assert job.state is JobState.DELETED
    assert [start.task for start in alpha.scheduler.starts] == [1, 2, 4]
    assert world.stored("queue/") == []


def test_a_task_that_has_ended_or_never_was_cannot_be_canceled(world: World) -> None:
    agent = world.agent(world.system(behaviour=lambda *_: Script(10)))
    plain, array = world.submit("alpha"), world.submit("alpha", array="1-2")
    cancel = world.client().cancel
    with pytest.raises(JobStateConflict, match="No system has taken"):
        cancel.task(array, 1)
    with pytest.raises(InvalidInput, match="is not an array job"):
        cancel.task(plain, 1)
    with pytest.raises(InvalidInput, match="has no task 7: its tasks are 1-2:1"):
        cancel.task(array, 7)
    agent.until_final(plain, array)

    with pytest.raises(JobStateConflict, match=r"Task 2 .* has ended already: DONE"):
        cancel.task(array, 2)


def test_a_request_for_a_task_of_a_job_that_is_gone_is_cleared_away(world: World) -> None:
    agent = world.agent(world.system())
    job_id = world.submit("alpha", array="1-2")
    agent.until_final(job_id)
    world.client().cancel.queue.request_cancel("alpha", ClaimTag(job_id, 1), 2)
    world.client().cancel.queue.ring("alpha")

    agent.cycles(2)

    assert world.stored("queue/") == []


def test_a_job_that_holds_for_another_starts_after_its_end(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(duration_s=30, exit_code=1))
    agent = world.agent(alpha)
    first = world.submit("alpha")
    second = world.submit("alpha", hold_jid=(first,))
    agent.cycles(4)
    assert [start.tag.job_id for start in alpha.scheduler.starts] == [first]
    assert world.client().query.active().jobs[1].note == f"waits for {first}"

    agent.until_final(first, second)

    assert [start.tag.job_id for start in alpha.scheduler.starts] == [first, second]


def test_a_job_that_holds_for_a_job_of_another_system_starts_after_its_end(world: World) -> None:
    alpha, beta = world.system("alpha"), world.system("beta")
    agents = world.agent(alpha), world.agent(beta)
    first = world.submit("beta")
    second = world.submit("alpha", hold_jid=(first,))
    agents[0].cycles(3)
    assert alpha.scheduler.starts == []

    agents[1].until_final(first)
    agents[0].until_final(second)

    assert len(alpha.scheduler.starts) == 1


def test_a_job_that_needs_another_to_be_done_starts_after_its_good_end(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(duration_s=30))
    agent = world.agent(alpha)
    first = world.submit("alpha")
    second = world.submit("alpha", hold_ok_jid=(first,))
    agent.cycles(4)
    assert [start.tag.job_id for start in alpha.scheduler.starts] == [first]

    agent.until_final(first, second)

    assert [start.tag.job_id for start in alpha.scheduler.starts] == [first, second]
    assert world.job(second).state is JobState.DONE


def test_a_job_that_needs_a_failed_one_to_be_done_is_deleted_without_a_run(world: World) -> None:
    """The first invited system that notices deletes it; jobs that wait for it are deleted, too."""
    alpha, beta = world.system("alpha", behaviour=lambda *_: Script(exit_code=3)), world.system("beta")
    agents = world.agent(alpha), world.agent(beta)
    first = world.submit("alpha")
    second = world.submit("alpha", "beta", array="1-2", hold_ok_jid=(first,))
    third = world.submit("beta", hold_ok_jid=(second,), hold_jid=(first,))
    agents[0].until_final(first)

    agents[1].until_final(second, third)

    job = world.job(second)
    assert (job.state, job.error_msg) == (
        JobState.DELETED,
        f"not run: {first} ended as ERROR, but this job requires DONE",
    )
    assert {each.state for each in job.tasks.groups} == {JobState.DELETED}
    assert world.job(third).state is JobState.DELETED
    assert [start.tag.job_id for start in (*alpha.scheduler.starts, *beta.scheduler.starts)] == [first]
    agents[0].cycles(2)
    assert world.stored("queue/") == []
    assert len(world.stored("history/")) == 3


def test_a_job_that_needs_a_deleted_one_to_be_done_waits_for_its_owner(world: World) -> None:
    """The final state of the deleted job can no longer be determined."""
    alpha = world.system("alpha")
    first = world.submit("alpha")
    second = world.submit("alpha", hold_ok_jid=(first,))
    world.client().cancel(first)
    world.client().delete(first)

    world.agent(alpha).cycles(5)

    assert world.job(second).state is JobState.INIT
    assert (
        f"waits for {first} to be DONE, which cannot be checked" in world.client().query.active().jobs[0].note
    )
    assert alpha.scheduler.starts == []


def test_a_job_that_could_never_run_is_refused(world: World) -> None:
    first = world.submit("alpha")
    world.client().cancel(first)

    with pytest.raises(InvalidInput) as refused:
        world.submit("alpha", hold_ok_jid=(first, "00000000"))

    assert refused.value.problems == (
        f"hold_ok_jid: job {first} ended as DELETED: this job would never run",
        "hold_ok_jid: job 00000000 does not exist",
    )


def test_an_unpinned_job_is_run_by_exactly_one_of_the_systems_invited(world: World) -> None:
    systems = [world.system(name, slots=4) for name in ("alpha", "beta", "gamma")]
    agents = [world.agent(system) for system in systems]
    job_id = world.submit("alpha", "beta", "gamma")

    for _ in range(20):
        for agent in agents:
            agent.cycle()
        world.clock.pass_by(5)

    assert world.job(job_id).state is JobState.DONE
    assert sum(len(system.scheduler.starts) for system in systems) == 1
    assert world.stored("queue/") == []


def test_many_unpinned_jobs_are_left_to_whoever_comes_free_first(world: World) -> None:
    """A full system leaves them alone while others take them sooner than it could start them."""
    full = world.system("alpha", behaviour=lambda *_: Script(duration_s=10_000), slots=1)
    quick = world.system("beta", behaviour=lambda *_: Script(duration_s=20), slots=4)
    agents = world.agent(full), world.agent(quick)
    world.submit("alpha")
    agents[0].cycles(2)
    jobs = [world.submit("alpha", "beta") for _ in range(60)]

    for _ in range(80):
        for agent in agents:
            agent.cycle()
        world.clock.pass_by(5)

    records = [world.job(job_id) for job_id in jobs]
    stuck = [job for job in records if job.run_system == "alpha"]
    assert {job.state for job in records if job not in stuck} == {JobState.DONE}
    assert len(quick.scheduler.starts) == 60 - len(stuck)
    assert len(stuck) <= 2
    assert all("expected a wait" in job.placement or "could not estimate" in job.placement for job in stuck)
    assert "beta could start it at once" in {job.placement for job in records}


def test_a_slow_system_finds_the_jobs_that_a_quick_one_has_not_taken(world: World) -> None:
    """The oldest jobs are taken already: a system that tries only those stays idle beside a full bucket."""
    quick = world.system("alpha", behaviour=lambda *_: Script(duration_s=4), slots=8)
    slow = world.system("beta", behaviour=lambda *_: Script(duration_s=4), slots=2)
    agents = world.agent(quick), world.agent(slow)
    jobs = [world.submit("alpha", "beta") for _ in range(100)]

    for _ in range(40):
        for agent in agents:
            agent.cycle()
        world.clock.pass_by(5)

    records = [world.job(job_id) for job_id in jobs]
    assert {job.state for job in records} == {JobState.DONE}
    assert len(quick.scheduler.starts) + len(slow.scheduler.starts) == 100
    assert len(slow.scheduler.starts) >= 15
    assert world.stored("queue/") == []


def test_an_unpinned_job_goes_to_the_system_with_a_free_slot(world: World) -> None:
    busy = world.system("alpha", behaviour=lambda *_: Script(duration_s=600), slots=1)
    free = world.system("beta", slots=1)
    agents = world.agent(busy), world.agent(free)
    world.submit("alpha")
    agents[0].cycles(2)
    job_id = world.submit("alpha", "beta")

    for _ in range(10):
        for agent in agents:
            agent.cycle()
        world.clock.pass_by(5)

    assert world.job(job_id).run_system == "beta"


def test_a_system_that_takes_no_unpinned_jobs_leaves_them_and_says_so(world: World) -> None:
    agent = world.agent(world.system(), unpinned=False)
    world.submit("alpha", "beta")

    agent.cycles(5)

    assert world.client().query.active().jobs[0].note == "alpha takes only jobs submitted to it"


def test_what_could_not_go_along_with_the_output_is_named_and_is_no_error(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(12, outputs={"out": b"1"}))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(1)
    (alpha.home / "cache" / job_id / "link").symlink_to("/etc")

    agent.until_final(job_id)

    job = world.job(job_id)
    assert (job.state, job.error_msg) == (JobState.DONE, "")
    assert job.left_out == ("link (a link that leads out of the work directory, to /etc)",)
    assert job.changes[-1].reason == f"left out of the output: {job.left_out[0]}"
