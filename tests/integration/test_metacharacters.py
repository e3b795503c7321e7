"""Shell metacharacters in every directive, on every scheduler: none of them is ever executed.

A value is refused with a message or arrives character by character. If one is executed, it creates a file.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from cloudq.client import Client
from cloudq.domain.errors import ConfigProblem, InvalidInput
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.jobscript import Jobscript
from tests.parts.fake_grid_engine.cell import FakeGridEngine
from tests.parts.fake_pbs.complex import FakePbs
from tests.parts.fake_slurm.cluster import FakeSlurm
from tests.parts.site import Site, ended
from tests.parts.world import text_of

pytestmark = pytest.mark.timeout(600)

PATIENCE_S = 240.0
"""How long the first job may take: the test is about what happens, not how soon on a busy machine."""

HEAD = {"project": "imaging", "resource": "small", "n_resource": "1"}
REFUSED = ("run_on", "project", "resource", "n_resource", "walltime")
"""The directives whose values may contain none of these characters."""


def nasty(trap: Path) -> list[str]:
    """Values that create the file *trap* if they are executed."""
    touch = f"touch {trap}"
    return [
        f"$({touch})", f"`{touch}`", f"x; {touch} && {touch}", f"x' | {touch} ; '", f'x\\" ; {touch} ; "',
        "{resource}{n}%s$HOME*~",
    ]  # fmt: skip


def broken(trap: Path) -> list[str]:
    """Values with characters that end or break a line in some programs, though not in a script."""
    return [f"x{char}touch {trap}" for char in ("\r", "\x0b", "\x0c", "\x85", "\u2028", "\0", "\x1b")]


def script(body: str = "", **directives: str) -> str:
    lines = "".join(f"#$ {name}: {value}\n" for name, value in (HEAD | directives).items())
    return f"#!/bin/bash\n{lines}{body}"


# Where jobs run ----------------------------------------------------------------------------------


@frozen
class Place:
    """A scheduler, and an option of its submit command that takes any text."""

    profile: str
    environment: dict[str, str]
    option: str = ""
    """Empty if the scheduler has no such option."""
    body: str = "true\n"
    """A script body that prints the value that arrived, on schedulers that pass it to jobs."""
    prints: bool = False


FROM_SCONTROL = """\
case $(scontrol --version) in *" 2"[0-4].* | *" 25.05."*) end=' $' ;; *) end='$' ;; esac
scontrol show job "$SLURM_JOB_ID" | sed -n "s/^ *Comment=\\(.*\\)$end/\\1/p"
"""
"""Before 25.11 a blank follows the comment."""


@contextmanager
def on_slurm(request: pytest.FixtureRequest, root: Path) -> Iterator[Place]:
    cluster = request.getfixturevalue("slurm")
    try:
        yield Place("slurm", cluster.environment(), "--comment=", FROM_SCONTROL, prints=True)
    finally:
        cluster.clear()


@contextmanager
def on_grid_engine(request: pytest.FixtureRequest, root: Path) -> Iterator[Place]:
    cell = request.getfixturevalue("grid_engine")
    try:
        yield Place("gridengine", cell.environment(), "-v GIVEN=", "printenv GIVEN\n", prints=True)
    finally:
        cell.clear()


@contextmanager
def on_stand_ins(profile: str, root: Path) -> Iterator[Place]:
    parts = {"slurm": FakeSlurm, "gridengine": FakeGridEngine, "pbs": FakePbs}
    options = {"slurm": "--comment=", "gridengine": "-A ", "pbs": "-A "}
    root.mkdir()
    part = parts[profile](root, slots=8)
    try:
        yield Place(profile, part.environment(), options[profile])
    finally:
        part.end_everything()


@contextmanager
def on_this_machine(request: pytest.FixtureRequest, root: Path) -> Iterator[Place]:
    yield Place("local", {})


PLACES: dict[str, Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Place]]] = {
    "stand-ins of slurm": lambda _, root: on_stand_ins("slurm", root),
    "stand-ins of grid engine": lambda _, root: on_stand_ins("gridengine", root),
    "stand-ins of pbs": lambda _, root: on_stand_ins("pbs", root),
    "local": on_this_machine,
    "slurm": on_slurm,
    "grid engine": on_grid_engine,
}
REAL = {"slurm": "slurm", "grid engine": "gridengine"}


@pytest.fixture(
    params=[
        pytest.param(
            name, marks=[pytest.mark.real, pytest.mark.xdist_group(REAL[name])] if name in REAL else []
        )
        for name in PLACES
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](request, tmp_path / "scheduler") as place:
        yield place


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Path]:
    """A file that must never be created."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


def site_of(place: Place, root: Path) -> Site:
    site = Site(root / "site", place.environment | {"CLOUDQ_AGENT_PROFILE": place.profile}, "here")
    own = site.home / "systems"
    own.mkdir(parents=True, mode=0o700)
    small = {"slurm": "--partition=main", "gridengine": "-p 0", "pbs": "-q workq", "local": "--slots=1"}
    project = {"slurm": "--comment={project}", "local": ""}.get(place.profile, "-A {project}")
    (own / f"{place.profile}.toml").write_text(
        f'poll_interval = 0.5\n[options]\nproject = "{project}"\nresource = "{small[place.profile]}"\n'
        f"[resources.small]\n"
    )
    return site


# The client --------------------------------------------------------------------------------------


@pytest.mark.parametrize("directive", [*REFUSED, "other_opts", "container_img"])
def test_a_client_refuses_what_a_directive_cannot_hold_with_its_line(
    tmp_path: Path, trap: Path, directive: str
) -> None:
    site = Site(tmp_path / "site")
    values = broken(trap) + (nasty(trap) if directive in REFUSED else [])
    with site.client() as client:
        for value in values:
            path = site.script(script(**{directive: value}), "job.sh")
            with pytest.raises(InvalidInput) as refused:
                client.submit(path, submit_to="here", force=True)
            assert any(
                problem.startswith("job.sh line ") and f" {directive}: " in problem
                for problem in refused.value.problems
            ), refused.value.problems
        assert client.jobs().jobs == ()


# Agents ------------------------------------------------------------------------------------------


def test_no_agent_executes_a_value_that_its_client_let_pass(place: Place, tmp_path: Path, trap: Path) -> None:
    """The script is put into the bucket by a client that checks nothing."""
    site = site_of(place, tmp_path)
    cases = [(directive, value) for directive in REFUSED for value in nasty(trap) + broken(trap)]
    with site.client() as client:
        job_ids = [smuggled(client, site, script("true\n", **{name: value})) for name, value in cases]
        good = client.submit(site.script(script("echo fine\n")), submit_to="here", force=True).job.uuid
        with site.agent():
            jobs = ended(client, *job_ids, good, timeout=PATIENCE_S)

    assert jobs.pop().state is JobState.DONE
    for job, (directive, _) in zip(jobs, cases, strict=True):
        assert job.state is JobState.ERROR
        assert f"{directive}: " in job.error_msg


def smuggled(client: Client, site: Site, text: str) -> str:
    job_id = client.submit(site.script(script(), "job.sh"), submit_to="here", force=True).job.uuid
    client._parts.submit.files.put_script(job_id, Jobscript("job.sh", text.encode()))
    return job_id


def test_options_and_images_arrive_as_they_are_or_the_job_says_why_not(
    place: Place, tmp_path: Path, trap: Path
) -> None:
    site = site_of(place, tmp_path)
    values = nasty(trap)
    words = [shlex.split(place.option + shlex.quote(value)) if place.option else [value] for value in values]
    urls = ["docker://x/" + value.replace(" ", "${IFS}") for value in values]
    with site.client() as client, site.agent():
        options = [submit(client, site, place.body, other_opts=shlex.join(each)) for each in words]
        images = [submit(client, site, "true\n", container_img=url) for url in urls]
        by_option, by_image = (
            ended(client, *options, timeout=PATIENCE_S),
            ended(client, *images, timeout=PATIENCE_S),
        )
        printed = [text_of(client.log(job_id)) for job_id in options]
        told = [text_of(client.log(job_id, error=True)) for job_id in images]

    for job, given, value, text in zip(by_option, words, values, printed, strict=True):
        check_option(place, job, given, value, text)
    for job, url, text in zip(by_image, urls, told, strict=True):
        assert (job.state, job.exit_code != 0) == (JobState.ERROR, True)
        assert f"no image {url} for CONTAINER_IMG0: the script was not started" in text, job.error_msg


def submit(client: Client, site: Site, body: str, **directives: str) -> str:
    return client.submit(site.script(script(body, **directives)), submit_to="here", force=True).job.uuid


def check_option(place: Place, job: Job, given: list[str], value: str, printed: str) -> None:
    if not place.option:
        assert (job.state, value in job.error_msg) == (JobState.ERROR, True), job.error_msg
        return
    assert shlex.split(job.submit_opt_local)[-len(given) :] == given
    if job.state is JobState.DONE:
        assert given[-1] in shlex.split(job.submit_command)
        assert printed == (f"{value}\n" if place.prints else "")
    else:
        assert (job.state, job.error_msg != "", place.prints) == (JobState.ERROR, True, False), job.error_msg


def test_a_mapped_project_arrives_as_it_is_or_the_job_says_why_not(
    place: Place, tmp_path: Path, trap: Path
) -> None:
    site = site_of(place, tmp_path)
    values = nasty(trap)
    with site.client() as client, site.agent():
        job_ids = [submit_as(site, value) for value in values]
        jobs = ended(client, *job_ids, timeout=PATIENCE_S)

    for job, value in zip(jobs, values, strict=True):
        if job.state is JobState.DONE:
            arrived = any(value in word for word in shlex.split(job.submit_command))
            assert arrived == (place.profile != "local")  # the embedded scheduler ignores projects
        else:
            assert (job.state, job.error_msg != "") == (JobState.ERROR, True)


@pytest.mark.parametrize("table", ["projects.imaging", "resources.small"])
def test_a_name_with_a_line_break_is_refused_by_the_configuration_or_the_client(
    tmp_path: Path, trap: Path, table: str
) -> None:
    site = Site(tmp_path / "site")
    for value in [f"x\ntouch {trap}", *broken(trap)]:
        with pytest.raises((ConfigProblem, InvalidInput), match=r"\b(imaging|small|project|resource)\b"):
            submit_as(site, value, table)


def submit_as(site: Site, value: str, table: str = "projects.imaging") -> str:
    """Submit with a configuration that maps the project, or the resource, to *value* on the system."""
    site.home.mkdir(parents=True, exist_ok=True)
    (site.home / "config.toml").write_text(f"[{table}]\nhere = {json.dumps(value)}\n")
    with site.client() as client:
        return client.submit(site.script(script("true\n")), submit_to="here", force=True).job.uuid
