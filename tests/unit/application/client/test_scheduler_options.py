"""What the client can refuse it refuses before it submits; header lines of another scheduler are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.client import Client
from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.option_template import OptionTemplate
from cloudq.domain.scripts.system_profile import RESOURCE_FIELDS, SystemProfile
from tests.parts.world import World

BASH = "#!/bin/bash\n"
ANY_RESOURCE = OptionTemplate.parse("-N {n} -p {resource}", RESOURCE_FIELDS)


def client_of(world: World, *schedulers: str) -> Client:
    """Return a client of a bucket in which a system reported for each of *schedulers*, with its name."""
    for scheduler in schedulers:
        profile = SystemProfile(name=scheduler, scheduler=scheduler, resource=ANY_RESOURCE)
        world.agent(world.system(scheduler, profile=profile)).cycle()
    return Client(world.client())


def script(world: World, body: str = BASH) -> Path:
    path = world.tmp / "run.sh"
    path.write_text(body)
    return path


@pytest.mark.parametrize(
    ("scheduler", "options", "words"),
    [
        ("slurm", "--wait", "--wait: the agent does not wait for one job"),
        ("slurm", "-W", "--wait: the agent does not wait for one job"),
        ("gridengine", "-sync y", "-sync"),
        ("pbs", "-W block=true", "block"),
        ("local", "--nodes 2", "unknown option"),
    ],
)
def test_option_that_the_agent_would_refuse_submits_nothing(
    world: World, scheduler: str, options: str, words: str
) -> None:
    client = client_of(world, scheduler)
    before = world.stored("jobs/")

    with pytest.raises(InvalidInput) as refused:
        client.submit(script(world), submit_to=scheduler, submit_opt=options)

    [problem] = refused.value.problems
    assert problem.startswith(f"{scheduler} would refuse the job: ")
    assert words in problem
    assert world.stored("jobs/") == before


@pytest.mark.parametrize(
    ("scheduler", "line"),
    [("slurm", "#SBATCH --wait"), ("gridengine", "#$ -sync y"), ("pbs", "#PBS -W block=true")],
)
def test_header_line_that_the_agent_would_refuse_submits_nothing(
    world: World, scheduler: str, line: str
) -> None:
    with pytest.raises(InvalidInput, match="would refuse the job"):
        client_of(world, scheduler).submit(script(world, f"{BASH}{line}\n"), submit_to=scheduler)


def test_options_of_a_meta_job_are_checked_too(world: World) -> None:
    meta = "#!/bin/bash\n#$ project: p\n#$ resource: r\n#$ n_resource: 1\n#$ other_opts: --wait\n"
    client = client_of(world, "slurm")

    with pytest.raises(InvalidInput, match=r"slurm would refuse the job: .*--wait"):
        client.submit(script(world, meta), submit_to="slurm")


def test_force_leaves_the_decision_to_the_agent(world: World) -> None:
    client = client_of(world, "slurm")

    assert client.submit(script(world), submit_to="slurm", submit_opt="--wait", force=True).job.submit_opt


@pytest.mark.parametrize("system", ["nowhere-yet", "other"])
def test_system_whose_scheduler_is_unknown_here_decides_itself(world: World, system: str) -> None:
    world.agent(world.system("other")).cycle()  # a scheduler that this client does not know
    client = Client(world.client())

    submitted = client.submit(
        script(world), submit_to=system, submit_opt="--wait", force=system == "nowhere-yet"
    )

    assert submitted.job.submit_opt == "--wait"


# Header lines of another scheduler ---------------------------------------------------------------

SLURM = BASH + "#SBATCH -n 4\n#SBATCH --time=10\necho\n#SBATCH -J late\n"
GRID_ENGINE = BASH + "#$ -l h_rt=60\n# a comment\n#$ -cwd\necho\n"
PBS = BASH + "#PBS -l select=1\necho\n"


@pytest.mark.parametrize(
    ("scheduler", "body", "warning"),
    [
        (
            "gridengine",
            SLURM,
            (
                "gridengine: run.sh lines 2, 3: #SBATCH has no effect there, only #$ has: "
                "'#SBATCH -n 4', '#SBATCH --time=10'"
            ),
        ),
        (
            "slurm",
            GRID_ENGINE,
            "slurm: run.sh lines 2, 4: #$ has no effect there, only #SBATCH has: '#$ -l h_rt=60', '#$ -cwd'",
        ),
        (
            "local",
            PBS,
            "local: run.sh line 2: #PBS has no effect there, only #LOCAL has: '#PBS -l select=1'",
        ),
        ("slurm", PBS, None),  # sbatch reads these lines, too
        ("slurm", SLURM, None),
        ("gridengine", SLURM + "#$ -cwd\n", None),
        ("gridengine", BASH + "# SBATCH\n#SBATCHED\necho\n", None),
    ],
)
def test_header_lines_of_another_scheduler_are_named(
    world: World, scheduler: str, body: str, warning: str | None
) -> None:
    submitted = client_of(world, scheduler).submit(script(world, body), submit_to=scheduler)

    assert [text for text in submitted.warnings if "no effect there, only" in text] == (
        [] if warning is None else [warning]
    )


def test_rerun_on_another_scheduler_names_the_lines_as_well(world: World) -> None:
    client = client_of(world, "slurm", "gridengine")
    job = client.submit(script(world, SLURM), submit_to="slurm").job
    client.cancel(job.uuid)

    again = client.rerun(job.uuid, submit_to="gridengine")

    assert [text for text in again.warnings if "#SBATCH" in text and "only #$ has" in text]


def test_quoted_lines_are_few_short_and_printable(world: World) -> None:
    body = BASH + "".join(f"#SBATCH --comment=\x1b{n}{'x' * 500}\n" for n in range(50))
    submitted = client_of(world, "gridengine").submit(script(world, body), submit_to="gridengine")

    [warning] = [text for text in submitted.warnings if "only #$ has" in text]
    assert len(warning) < 500
    assert warning.isprintable()
