"""Meta jobs from submit to their final state: where they may run, and what they are converted to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from cloudq.adapters.systems import load_profile
from cloudq.application.client.submit_job import Submitted
from cloudq.client import Client
from cloudq.domain.errors import InvalidInput, UnknownSystem
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.system_mapping import NameTables
from cloudq.domain.scripts.system_profile import Limits, ResourceProfile, SystemProfile
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.parts.trap import Killed, Trap
from tests.parts.world import Agent, World

HEAD = "#!/bin/bash\n#$ project: grp1\n#$ resource: cpu\n#$ n_resource: 1\n"
LOCAL = load_profile("local", Path("nowhere"))
GPUS = evolve(LOCAL, name="gpus", resources={"gpu": ResourceProfile(max_n=4)})


def agent_of(world: World, name: str, profile: SystemProfile | None = LOCAL, **settings: object) -> Agent:
    agent = world.agent(world.system(name, profile=profile), **settings)
    agent.cycle()
    return agent


def submit(
    world: World, text: str = HEAD + "echo hi\n", name: str = "mjob.sh", **options: object
) -> Submitted:
    path = world.tmp / name
    path.write_text(text)
    return Client(world.client()).submit(path, **options)  # type: ignore[arg-type]


def problems_of(world: World, text: str, **options: object) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        submit(world, text, **options)
    return list(caught.value.problems)


def ended(world: World, agent: Agent, **options: object) -> Job:
    job_id = submit(world, **options).job.uuid  # type: ignore[arg-type]
    agent.until_final(job_id)
    return world.job(job_id)


# The converted job ---------------------------------------------------------------------------


def test_a_meta_job_is_converted_where_it_runs_and_its_record_shows_how(world: World) -> None:
    agent = agent_of(world, "alpha")
    text = HEAD + "#$ walltime: 1:30:00\n#$ other_opts: --slots 2\necho hi\n"
    job = ended(world, agent, text=text, submit_opt="--slots 3")

    assert (job.state, job.jobscript_type, job.name) == (JobState.DONE, "meta", "mjob.sh")
    assert job.local_name == "mjob_local.sh"
    assert job.submit_opt_local == "--slots=1 --time=1:30:00 --slots 2 --slots 3"
    assert "--time=1:30:00" in job.submit_command
    assert (job.submit_to, job.invited, job.run_system) == ("", ("alpha",), "alpha")


def test_what_it_became_lies_in_the_bucket_beside_what_was_submitted(world: World) -> None:
    agent = agent_of(world, "alpha")
    job = ended(world, agent)

    assert world.body(f"jobs/{job.uuid}/script/mjob.sh").decode() == HEAD + "echo hi\n"
    assert world.body(f"jobs/{job.uuid}/1/local/mjob_local.sh") == b"#!/bin/bash\n\n\n\necho hi\n"
    assert (Path(job.workdir) / "mjob_local.sh").read_bytes() == b"#!/bin/bash\n\n\n\necho hi\n"


def test_its_shell_knows_the_system_and_the_array(world: World) -> None:
    agent = agent_of(world, "alpha")
    job = ended(world, agent, array_tid="1-7:2")
    shell = (Path(job.workdir).parent / ".cloudq" / f"{job.uuid}.1" / "job_shell.sh").read_text()

    assert "export SYSTEM=alpha\n" in shell
    assert "export ARY_TASK_FIRST=1 ARY_TASK_LAST=7 ARY_TASK_STEPSIZE=2\n" in shell
    assert "#$" not in shell


def test_names_of_the_submitters_configuration_travel_with_the_job(world: World) -> None:
    world.names = NameTables({}, {"gpu": {"alpha": "--slots={n} --time=5m"}})
    agent = agent_of(world, "alpha")
    job = ended(world, agent, text=HEAD.replace("cpu", "gpu"))

    assert job.submit_opt_local == "--slots=1 --time=5m"


def test_a_job_that_cannot_be_converted_ends_with_every_reason(world: World) -> None:
    """The offer was incomplete when the job was submitted, or the profile has changed."""
    agent_of(world, "alpha").parts.run.stop()
    job_id = submit(world, HEAD + "#$ walltime: 5h\n").job.uuid
    strict = evolve(LOCAL, resource=None, resources={}, limits=Limits(walltime=None), walltime=None)
    agent = world.agent(world.system("alpha", profile=strict), host="login1")
    world.clock.pass_by(2000)
    agent.until_final(job_id)
    job = world.job(job_id)

    assert job.state is JobState.ERROR
    assert "has no resource 'cpu'" in job.error_msg
    assert "walltime 5:00:00: profile local has no option for it" in job.error_msg
    assert job.time_start is None


def test_options_that_somebody_put_into_the_bucket_end_a_job_that_they_spoil(world: World) -> None:
    agent = agent_of(world, "alpha")
    job_id = submit(world).job.uuid
    key = f"jobs/{job_id}/manifest.json"
    world.store.put(key, json.dumps({**json.loads(world.body(key)), "submit_opt": "-x '"}).encode())
    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.ERROR
    assert "cannot be split into words" in world.job(job_id).error_msg


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"system": "alpha", "resource": "--slots={x}"}, "unknown field {x}"),
        ({"system": "alpha", "resource": "--slots=1\n--evil"}, "not a printable name"),
        ({"system": "alpha", "project": "-x"}, "begins with '-'"),
    ],
)
def test_a_mapping_that_somebody_put_into_the_bucket_is_not_believed(
    world: World, mapping: dict[str, str], words: str
) -> None:
    agent = agent_of(world, "alpha")
    job_id = submit(world).job.uuid
    key = f"jobs/{job_id}/manifest.json"
    record = json.loads(world.body(key))
    world.store.put(key, json.dumps({**record, "mappings": [mapping]}).encode())
    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.ERROR
    assert words in world.job(job_id).error_msg


def test_an_attempt_after_a_crash_has_the_same_options(world: World) -> None:
    """The options stay, even if the profile has changed since."""
    system = world.system("alpha", behaviour=lambda *_: Script(), profile=LOCAL)
    trap = Trap()
    first = world.agent(system, trap)
    first.cycle()
    job_id = submit(world, HEAD + "#$ walltime: 1h\n", submit_to="alpha").job.uuid
    trap.after_name = "space.begin_attempt"
    with pytest.raises(Killed):
        first.cycles(3)
    first.die()
    system.profile = evolve(LOCAL, walltime=None)
    world.agent(system).until_final(job_id)

    assert world.job(job_id).submit_opt_local == "--slots=1 --time=1:00:00"
    assert world.job(job_id).state is JobState.DONE
    assert len(system.scheduler.starts) == 1


# Eligible systems ----------------------------------------------------------------------------


def test_a_job_for_anybody_is_offered_to_every_system_that_can_run_it(world: World) -> None:
    agent_of(world, "alpha")
    agent_of(world, "beta", GPUS)
    agent_of(world, "gamma", None)
    agent_of(world, "delta", unpinned=False)
    agent_of(world, "epsilon")
    submitted = submit(world)

    assert submitted.job.invited == ("alpha", "epsilon")
    assert submitted.job.submit_to == ""
    assert submitted.warnings == (
        "Offered to alpha, epsilon.",
        "Not offered to beta: it has no resource 'cpu' (known: gpu).",
        "Not offered to delta: it takes only jobs submitted to it.",
        "Not offered to gamma: its agent is an older release without support for meta jobscripts.",
    )
    assert {key.split("/")[1] for key in world.stored("queue/")} == {"alpha", "epsilon"}


def test_a_job_for_anybody_runs_once_on_one_of_them(world: World) -> None:
    systems = [world.system(name, behaviour=lambda *_: Script(), profile=LOCAL) for name in ("alpha", "beta")]
    agents = [world.agent(system) for system in systems]
    for agent in agents:
        agent.cycle()
    job_ids = [submit(world).job.uuid for _ in range(5)]
    for _ in range(60):
        for agent in agents:
            agent.cycle()
        world.clock.pass_by(5)

    assert all(world.job(job_id).state is JobState.DONE for job_id in job_ids)
    assert sum(len(system.scheduler.starts) for system in systems) == 5


def test_no_system_that_can_run_it_is_an_error_with_a_reason_for_each(world: World) -> None:
    agent_of(world, "beta", GPUS)
    agent_of(world, "gamma", None)

    assert problems_of(world, HEAD) == [
        "no system can run the job",
        "beta: it has no resource 'cpu' (known: gpu)",
        "gamma: its agent is an older release without support for meta jobscripts",
    ]
    assert world.stored("jobs/") == []


def test_no_system_at_all_is_said(world: World) -> None:
    assert problems_of(world, HEAD) == ["no agent ever reported: start one, or name a system"]


def test_more_than_a_system_has_is_a_reason(world: World) -> None:
    agent_of(world, "beta", GPUS)
    text = HEAD.replace("cpu", "gpu").replace("n_resource: 1", "n_resource: 5")

    assert problems_of(world, text)[1] == "beta: n_resource 5 is more than its 4 of gpu"


def test_only_and_not_choose_among_the_systems(world: World) -> None:
    for name in ("alpha", "beta", "gamma"):
        agent_of(world, name)

    assert submit(world, without=["beta"]).job.invited == ("alpha", "gamma")
    assert submit(world, only=["alpha,Gamma"]).job.invited == ("alpha", "gamma")
    assert submit(world, only=["beta"]).job.submit_to == "beta"
    assert problems_of(world, HEAD, only=["alpha", "beta"], without=["alpha,beta"])[1:] == [
        "alpha: excluded for this job",
        "beta: excluded for this job",
        "gamma: not allowed for this job",
    ]


def test_only_says_that_a_system_has_what_it_does_not_list(world: World) -> None:
    agent_of(world, "alpha")
    agent_of(world, "beta")
    text = HEAD.replace("cpu", "anything")

    assert problems_of(world, text)[0] == "no system can run the job"
    assert submit(world, text, only=["alpha", "beta"]).job.invited == ("alpha", "beta")


def test_an_unknown_system_in_only_is_refused(world: World) -> None:
    agent_of(world, "alpha")

    with pytest.raises(UnknownSystem, match='unknown system "btea"'):
        submit(world, only=["alpha", "btea"])
    forced = submit(world, only=["alpha", "btea"], force=True)

    assert set(forced.job.invited) == {"alpha", "btea"}
    assert "No agent ever reported as btea: the job waits until one does." in forced.warnings


def test_run_on_pins_it(world: World) -> None:
    agent_of(world, "alpha")
    agent = agent_of(world, "beta", unpinned=False)
    submitted = submit(world, HEAD + "#$ run_on: Beta \necho\n")
    agent.until_final(submitted.job.uuid)

    assert (submitted.job.submit_to, submitted.job.invited) == ("beta", ("beta",))
    assert submitted.warnings == ("mjob.sh line 5: names of systems are lower case: using beta",)


def test_submit_to_pins_a_script_with_directives(world: World) -> None:
    agent = agent_of(world, "alpha")
    job = ended(world, agent, submit_to="alpha")

    assert (job.jobscript_type, job.submit_to, job.state) == ("meta", "alpha", JobState.DONE)


def test_a_pinned_job_that_its_system_cannot_run_is_refused_unless_forced(world: World) -> None:
    agent_of(world, "beta", evolve(GPUS, resource=None))

    assert problems_of(world, HEAD, submit_to="beta") == [
        "beta cannot run the job: it has no resource 'cpu' (known: gpu)"
    ]
    assert submit(world, submit_to="beta", force=True).job.invited == ("beta",)


def test_names_of_the_configuration_that_cannot_be_used_are_refused_even_if_forced(world: World) -> None:
    world.names = NameTables({"grp1": {"beta": "-x"}}, {"cpu": {"beta": "--gpus={x}"}})
    told = problems_of(world, HEAD, submit_to="beta", force=True)

    assert [problem.partition(" ")[0] for problem in told] == ["beta:", "beta:"]


def test_options_that_contradict_each_other_are_refused(world: World) -> None:
    agent_of(world, "alpha")
    agent_of(world, "beta")
    pinned = HEAD + "#$ run_on: alpha\n"

    assert problems_of(world, pinned, submit_to="beta") == ["run_on is alpha, but submit_to is beta"]
    for options in ({"only": ["beta"]}, {"without": ["beta"]}):
        [problem] = problems_of(world, pinned, **options)
        assert problem.endswith("for jobs that any may run; this one is for alpha")


def test_a_script_of_grid_engine_stays_a_local_jobscript(world: World) -> None:
    agent = agent_of(world, "alpha")
    text = "#!/bin/bash\n#$ -l h_rt=1:00:00\n#$ -cwd\necho hi\n"
    job = ended(world, agent, text=text, submit_to="alpha")

    assert (job.jobscript_type, job.local_name) == ("local", "mjob.sh")
    assert (Path(job.workdir) / "mjob.sh").read_text() == text


def test_every_problem_of_a_submission_is_told_at_once(world: World) -> None:
    agent_of(world, "alpha")
    text = "#!/bin/bash\n#$ project: a;b\n#$ n_resource: 0\n#$ walltime: 60\n"
    told = problems_of(world, text, array_tid="4-1", hold_jid="nonsense", submit_opt="'")

    assert len(told) == 7


def test_a_system_that_was_silent_for_long_is_not_waited_for(world: World) -> None:
    agent_of(world, "alpha")
    world.clock.pass_by(8 * 86_400)
    agent_of(world, "beta")
    submitted = submit(world)

    assert submitted.job.invited == ("beta",)
    assert "Not offered to alpha: its agent has not reported for 8 days." in submitted.warnings


def test_a_system_that_is_away_is_offered_it_with_a_warning(world: World) -> None:
    agent_of(world, "alpha")
    world.clock.pass_by(3600)
    agent_of(world, "beta")

    assert submit(world).warnings == (
        "Offered to alpha, beta.",
        "The agent of alpha has not reported for 60 min: the job waits until it does.",
    )


def test_a_job_offered_to_k_of_s_systems_costs_2_and_2k_put_and_s_get(world: World) -> None:
    for name in ("alpha", "beta"):
        agent_of(world, name)
    agent_of(world, "gamma", GPUS)
    store = CountingStore(world.store)
    world.store = store
    submit(world)

    assert store.counts == {"LIST": 1, "GET": 3, "PUT": 2 + 2 * 2}


def test_a_short_meta_job_costs_its_agent_one_request_more_than_another(world: World) -> None:
    store = CountingStore(world.store)
    world.store = store
    agent = agent_of(world, "alpha")
    job_id = submit(world, submit_to="alpha").job.uuid
    store.reset()
    agent.cycles(4)

    assert world.job(job_id).is_final
    assert len([key for _, key in store.requests if job_id in key]) <= 12 + 1


def test_a_script_of_two_megabytes_is_run(world: World) -> None:
    agent = agent_of(world, "alpha")
    job = ended(world, agent, text=HEAD + "# padding, 40 characters to the line end.\n" * 50_000)

    assert job.state is JobState.DONE
