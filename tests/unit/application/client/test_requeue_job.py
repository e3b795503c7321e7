"""`requeue` as a whole: its effect depends on the holder of the job, which the person must have seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters.systems import load_profile
from cloudq.application.client.requeue_job import Requeued, RequeueRequest
from cloudq.client import Client
from cloudq.domain.errors import InvalidInput, JobStateConflict, UnknownSystem
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.jobscript import Jobscript
from tests.parts.scripted_scheduler import Script
from tests.parts.world import World

LONG = Script(duration_s=30_000)


def test_a_held_job_is_taken_back_only_by_who_names_the_claim_they_saw(world: World) -> None:
    agent = world.agent(world.system("alpha", behaviour=lambda *_: LONG))
    job_id = world.submit("alpha")
    agent.cycles(3)
    world.clock.pass_by(1801)
    requeue = world.client().requeue

    with pytest.raises(JobStateConflict, match="held by alpha with claim 1: name that claim"):
        requeue(RequeueRequest(job_id))
    with pytest.raises(JobStateConflict, match="claim 2 does not hold it"):
        requeue(RequeueRequest(job_id, claim=2))

    requeued = requeue(RequeueRequest(job_id, claim=1))

    assert requeued == Requeued(("alpha",), "alpha")
    assert requeue(RequeueRequest(job_id, claim=1)) == requeued
    assert requeue(RequeueRequest(job_id)) == Requeued(("alpha",))


def test_systems_that_never_reported_are_refused_and_those_that_are_away_told(world: World) -> None:
    job_id = world.submit("alpha")
    world.agent(world.system("beta")).cycles(1)
    world.clock.pass_by(600)
    requeue = world.client().requeue

    with pytest.raises(UnknownSystem, match=r'^unknown system "gamma" \(known: beta\)\.$'):
        requeue(RequeueRequest(job_id, ("gamma",)))
    told = requeue(RequeueRequest(job_id, ("beta",)))

    assert told.systems == ("beta",)
    assert told.warnings == ("The agent of beta has not reported for 10 min: the job waits until it does.",)


def test_a_meta_job_goes_to_systems_only_that_can_run_it(world: World) -> None:
    profile = load_profile("local", Path("nowhere"))
    world.agent(world.system("alpha", profile=profile)).cycles(1)
    world.agent(world.system("beta")).cycles(1)
    head = b"#$ project: p\n#$ resource: cpu\n#$ n_resource: 1\n"
    job_id = world.submit("alpha", script=Jobscript("mjob.sh", head + b"echo hello\n"))

    with pytest.raises(InvalidInput, match="beta cannot run the job"):
        world.client().requeue(RequeueRequest(job_id, ("beta",)))
    assert world.stored("queue/") == [f"queue/alpha/{job_id}.1"]


def test_a_client_of_the_library_does_all_of_it(world: World) -> None:
    client = Client(world.client())
    agent = world.agent(world.system("alpha", behaviour=lambda *_: LONG))
    first, second = world.submit("alpha"), world.submit("alpha")
    assert client.holder(first) is None
    agent.cycles(3)

    holder = client.holder(first)
    assert holder is not None
    assert (holder.system, holder.claim.n, holder.is_presumed_gone) == ("alpha", 1, False)
    assert client.requeue(first, ["alpha", "alpha"], claim=1, force=True).systems == ("alpha",)
    with pytest.raises(JobStateConflict, match="claim 3 does not hold it"):
        client.cancel(second, force=True, claim=3)
    client.cancel(second, force=True)

    assert client.job(second).state is JobState.DELETED
    assert client.holder(second) is None
