"""Every row of the original's tables of meta jobscripts, on every kind of scheduler, with whole agents.

Each system runs one bundle of jobs, then each row is checked. ``docs/seed-tables.md`` has the results.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from cloudq.client import Client
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from tests.parts.fake_pbs.complex import FakePbs
from tests.parts.meta_sites import KINDS, PROJECT_HERE, missing_tools
from tests.parts.s3_services import S3Service
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

pytestmark = [pytest.mark.timeout(300)]

SCRIPT = Path(__file__).parents[1] / "parts" / "every_row.sh"
DATA = "seed-tables"
FILES = {"letter.txt": "dear reader\n", "folder/one.txt": "one\n", "folder/below/two.txt": "two\n"}
HEAD = "#!/bin/bash\n#$ project: imaging\n#$ resource: {resource}\n#$ n_resource: {n}\n"
SHOWS = """\
echo "partition ${SLURM_JOB_PARTITION-} account ${SLURM_JOB_ACCOUNT-}"
echo "so many ${SLURM_NTASKS-}${NSLOTS-}"
echo "name ${SLURM_JOB_NAME-}${JOB_NAME-}${PBS_JOBNAME-}"
"""
PRINTED = """\
task none of -:
inside docker://registry.example/first:1
the container ended with 3
inside docker://registry.example/second:2
the container ended with 3
outside again
dear reader
one
two
dear reader
"""


@frozen
class Shown:
    """The results of the jobs on one system."""

    system: str
    jobs: dict[str, Job]
    logs: dict[str, str]
    tasks: dict[int, str]
    staged: Path
    objects: dict[str, str]
    """The objects that the job left in the bucket, by key without the prefix."""
    told: str
    """The scheduler's own description of the job with options."""

    def options(self, job: str) -> str:
        return self.jobs[job].submit_opt_local

    def file(self, name: str) -> str:
        return (self.staged / "output" / name).read_text()


# The systems -------------------------------------------------------------------------------------


@frozen
class Scheduler:
    """A scheduler for the jobs of one bundle."""

    environment: dict[str, str]
    walltime: str
    """A limit that one job of the test exceeds."""
    own_option: str
    """An option that sets the job's name, where the scheduler has names."""
    past_limit: Callable[[str], None] = lambda _scheduler_job_id: None
    tell: Callable[[str], str] = lambda _scheduler_job_id: ""
    forgets_soon: bool = False
    """True if the scheduler must be queried about a job before the other jobs have ended."""


@contextmanager
def slurm_scheduler(request: pytest.FixtureRequest, root: Path) -> Iterator[Scheduler]:
    cluster = request.getfixturevalue("slurm")
    try:
        yield Scheduler(
            cluster.environment(), "1m", "--job-name=own_name", cluster.let_time_run_out,
            lambda scheduler_job_id: cluster.run("scontrol", "show", "job", scheduler_job_id).stdout,
            forgets_soon=True,
        )  # fmt: skip
    finally:
        cluster.clear()


@contextmanager
def grid_engine_scheduler(request: pytest.FixtureRequest, root: Path) -> Iterator[Scheduler]:
    cell = request.getfixturevalue("grid_engine")
    try:
        yield Scheduler(
            cell.environment(), "3s", "-N own_name",
            tell=lambda scheduler_job_id: cell.run("qacct", "-j", scheduler_job_id).stdout,
        )  # fmt: skip
    finally:
        cell.clear()


@contextmanager
def local_scheduler(request: pytest.FixtureRequest, root: Path) -> Iterator[Scheduler]:
    yield Scheduler({}, "2s", "--time=2h")


@contextmanager
def pbs_scheduler(request: pytest.FixtureRequest, root: Path) -> Iterator[Scheduler]:
    root.mkdir()
    stand_ins = FakePbs(root, slots=8)

    def told(scheduler_job_id: str) -> str:
        with stand_ins.state() as state:
            return str(state["jobs"][scheduler_job_id.partition(".")[0]]["arguments"])

    try:
        yield Scheduler(stand_ins.environment(), "2s", "-N own_name", tell=told)
    finally:
        stand_ins.end_everything()


SCHEDULERS: dict[str, Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Scheduler]]] = {
    "slurm": slurm_scheduler,
    "gridengine": grid_engine_scheduler,
    "local": local_scheduler,
    "pbs": pbs_scheduler,
}
SYSTEMS = [
    pytest.param("slurm", marks=pytest.mark.xdist_group("slurm")),
    pytest.param("gridengine", marks=pytest.mark.xdist_group("gridengine")),
    pytest.param("local", marks=pytest.mark.xdist_group("seed-local")),
    pytest.param("pbs", marks=pytest.mark.xdist_group("seed-pbs")),
]


@pytest.fixture(scope="module", params=SYSTEMS)
def shown(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, moto_service: S3Service
) -> Iterator[Shown]:
    if missing := missing_tools():
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(f"not installed here: {', '.join(missing)}")
    kind = KINDS[request.param]
    root = tmp_path_factory.mktemp(kind.profile)
    with (
        SCHEDULERS[kind.profile](request, root / "scheduler") as scheduler,
        pytest.MonkeyPatch.context() as patch,
    ):
        site = kind.site(root / "site", scheduler.environment, moto_service, str(uuid.uuid4()))
        # Only for the test itself: the processes that it starts do not get these variables.
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(root / "site" / "user" / ".aws" / "credentials"))
        patch.setenv("AWS_PROFILE", "first")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        put_data(moto_service)
        yield run_bundle(site, scheduler, moto_service, root)


def put_data(service: S3Service) -> None:
    store = service.store(f"{DATA}/")
    for key, text in {
        "letter.txt": "dear reader\n",
        "folder/one.txt": "one\n",
        "folder/below/two.txt": "two\n",
    }.items():
        store.put(key, text.encode())


def run_bundle(site: Site, scheduler: Scheduler, service: S3Service, root: Path) -> Shown:
    with site.client() as client, site.agent():
        wait_until(lambda: site.system in client._parts.list_agents.registry.systems())
        ids = {"script": submit(client, SCRIPT), "array": submit(client, SCRIPT, array_tid="1-5:2")}
        for name, text in scripts(site, scheduler).items():
            ids[name] = submit(client, site.script(text, f"{name}.sh"), force=name == "elsewhere")
        told = _told_of(client, scheduler, ids["options"]) if scheduler.forgets_soon else ""
        wait_until(lambda: client.job(ids["late"]).state is JobState.RUN, 90)
        scheduler.past_limit(client.job(ids["late"]).jobid)
        waited_for = [name for name in ids if name != "elsewhere"]
        jobs = dict(
            zip(waited_for, ended(client, *(ids[name] for name in waited_for), timeout=150), strict=True)
        )
        jobs["elsewhere"] = client.job(ids["elsewhere"])
        return Shown(
            site.system,
            jobs,
            {name: text_of(client.log(jobs[name].uuid)) for name in ("script", "options", "container")},
            {task: text_of(client.log(ids["array"], tid=task)) for task in (1, 3, 5)},
            client.stage_out(ids["script"], root / "results"),
            read_back(service, site.system),
            told or scheduler.tell(jobs["options"].jobid),
        )


def _told_of(client: Client, scheduler: Scheduler, job_id: str) -> str:
    [job] = ended(client, job_id, timeout=150)
    return scheduler.tell(job.jobid)


def scripts(site: Site, scheduler: Scheduler) -> dict[str, str]:
    small, large = HEAD.format(resource="small", n=1), HEAD.format(resource="large", n=2)
    image = "#$ container_img: docker://registry.example/first:1\n"
    return {
        "options": f"{large}#$ other_opts: {scheduler.own_option}\n{SHOWS}",
        "late": f"{small}#$ walltime: {scheduler.walltime}\nexec sleep 300\n",
        "container": f"{small}{image}#$ walltime: 10m\ncq_container_run \"$CONTAINER_IMG0\" sh -c 'exit 7'\n",
        "here": f"{small}#$ run_on: {site.system}\necho here\n",
        "elsewhere": f"{small}#$ run_on: elsewhere\necho never\n",
    }


def submit(client: Client, script: Path, **options: Any) -> str:
    return client.submit(script, **options).job.uuid


def read_back(service: S3Service, system: str) -> dict[str, str]:
    store = service.store(f"{DATA}/{system}/")
    return {entry.key: store.get(entry.key).body.decode() for entry in store.list_page("").objects}


# The rows ----------------------------------------------------------------------------------------


def run_on(shown: Shown) -> None:
    here, elsewhere = shown.jobs["here"], shown.jobs["elsewhere"]
    assert (here.state, here.submit_to, here.run_system) == (JobState.DONE, shown.system, shown.system)
    assert (elsewhere.state, elsewhere.submit_to, elsewhere.run_system) == (JobState.INIT, "elsewhere", "")
    assert (shown.jobs["script"].submit_to, shown.jobs["script"].run_system) == ("", shown.system)


def project(shown: Shown) -> None:
    asked, told = {
        "slurm": (f"--account={PROJECT_HERE} ", f"Account={PROJECT_HERE}"),
        "gridengine": (f"-A {PROJECT_HERE} ", f"account      {PROJECT_HERE}"),
        "local": ("", ""),
        "pbs": (f"-A {PROJECT_HERE} ", f"-A {PROJECT_HERE}"),
    }[shown.system]
    assert shown.options("options").startswith(asked)
    assert told in shown.told
    assert (PROJECT_HERE in shown.options("options")) == bool(asked)


def resource(shown: Shown) -> None:
    small, large, told = {
        "slurm": ("--partition=main --ntasks=1", "--partition=urgent --ntasks=2", "Partition=urgent"),
        "gridengine": ("-l rt_C.small=1", "-pe smp 2", "granted_pe   smp"),
        "local": ("--slots=1", "--slots=2", ""),
        "pbs": ("-q workq -l select=1", "-q workq -l select=2:ncpus=1", "-q workq"),
    }[shown.system]
    assert small in shown.options("script")
    assert large in shown.options("options")
    assert told in shown.told


def n_resource(shown: Shown) -> None:
    number = {"slurm": "2", "gridengine": "2", "local": "", "pbs": ""}[shown.system]
    told = {"slurm": "NumTasks=2", "gridengine": "slots        2", "pbs": "select=2"}.get(shown.system, "")
    assert f"so many {number}\n" in shown.logs["options"]
    assert told in shown.told


def walltime(shown: Shown) -> None:
    late = shown.jobs["late"]
    assert (late.state, "time limit" in late.error_msg) == (JobState.TIMEOUT, True)
    assert "0:10:00" in shown.options("script")
    assert "time" not in shown.options("here")
    assert "h_rt" not in shown.options("here")


def other_opts(shown: Shown) -> None:
    name = "" if shown.system == "local" else "own_name"
    assert shown.options("options").endswith({"local": "--time=2h"}.get(shown.system, "own_name"))
    assert f"name {name}\n" in shown.logs["options"]


def container_img(shown: Shown) -> None:
    for image in ("first:1", "second:2"):
        assert f"inside docker://registry.example/{image}\n" in shown.logs["script"]


def cq_container_run(shown: Shown) -> None:
    assert "the container ended with 3\n" in shown.logs["script"]
    assert (shown.jobs["container"].state, shown.jobs["container"].exit_code) == (JobState.ERROR, 7)


def abci_cs_cp(shown: Shown) -> None:
    assert shown.logs["script"].endswith("dear reader\none\ntwo\ndear reader\n")
    assert shown.objects == FILES
    assert "\nAWS_" not in f"\n{shown.file('environment.txt')}"
    staged = [path.read_text() for path in shown.staged.rglob("*") if path.is_file()]
    assert not any("any secret" in text for text in staged)


def system(shown: Shown) -> None:
    assert shown.file("system.txt") == f"{shown.system}\n"


def container_img_variables(shown: Shown) -> None:
    lines = sorted(shown.file("environment.txt").splitlines())
    images = [line.partition("=") for line in lines if line.startswith("CONTAINER_IMG")]
    assert [name for name, _, _ in images] == ["CONTAINER_IMG0", "CONTAINER_IMG1"]
    assert ["first_1" in images[0][2], "second_2" in images[1][2]] == [True, True]


def ary_task_id(shown: Shown) -> None:
    assert {task: text.split()[1] for task, text in shown.tasks.items()} == {1: "1", 3: "3", 5: "5"}
    assert "\nARY_" not in f"\n{shown.file('environment.txt')}"  # absent in a job that is no array


def ary_task_first(shown: Shown) -> None:
    assert {_range(text).partition("-")[0] for text in shown.tasks.values()} == {"1"}


def ary_task_last(shown: Shown) -> None:
    assert {_range(text).partition("-")[2].partition(":")[0] for text in shown.tasks.values()} == {"5"}


def ary_task_stepsize(shown: Shown) -> None:
    assert {_range(text).partition(":")[2] for text in shown.tasks.values()} == {"2"}


def _range(text: str) -> str:
    return text.splitlines()[0].split()[3]


ROWS: dict[str, Callable[[Shown], None]] = {
    "run_on": run_on,
    "project": project,
    "resource": resource,
    "n_resource": n_resource,
    "walltime": walltime,
    "other_opts": other_opts,
    "container_img": container_img,
    "cq_container_run IMG [CMD]": cq_container_run,
    "abci_cs_cp SRC DST [ENDPOINT [PROFILE]]": abci_cs_cp,
    "SYSTEM": system,
    "CONTAINER_IMG#": container_img_variables,
    "ARY_TASK_ID": ary_task_id,
    "ARY_TASK_FIRST": ary_task_first,
    "ARY_TASK_LAST": ary_task_last,
    "ARY_TASK_STEPSIZE": ary_task_stepsize,
}
"""The names in the original's tables, each with its check."""


@pytest.mark.real
@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_original_s_tables_is_so(shown: Shown, row: str) -> None:
    ROWS[row](shown)


@pytest.mark.real
def test_the_same_file_ends_well_and_prints_the_same_on_every_system(shown: Shown) -> None:
    image = "inside docker://registry.example/{}\nthe container ended with 3\n"
    images = image.format("first:1") + image.format("second:2") + "outside again\n"

    assert [shown.jobs[name].state for name in ("script", "array")] == [JobState.DONE] * 2
    assert shown.logs["script"] == PRINTED
    assert shown.tasks == {task: f"task {task} of 1-5:2\n{images}" for task in (1, 3, 5)}
    files = {path.name for path in (shown.staged / "output").rglob("*") if path.is_file()}
    assert files == {
        "letter.txt", "one.txt", "two.txt", "by-profile.txt", "environment.txt", "system.txt",
    }  # fmt: skip
    [script] = list(shown.staged.rglob("every_row.sh"))
    assert script.read_bytes() == SCRIPT.read_bytes()
