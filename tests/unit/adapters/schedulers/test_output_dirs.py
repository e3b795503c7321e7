"""Directories that -o and -e name inside the work directory are created, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudq.adapters.process import account
from cloudq.adapters.schedulers.grid_engine.submit import plan_qsub as plan_grid_engine_qsub
from cloudq.adapters.schedulers.output_dirs import make_output_dir
from cloudq.adapters.schedulers.pbs.submit import plan_qsub as plan_pbs_qsub
from cloudq.adapters.schedulers.slurm.submit import plan_sbatch
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import Submission, SubmitPlan
from tests.parts.cases import case


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


def made_by(
    plan: Callable[[Submission], SubmitPlan],
    work_dir: Path,
    lines: tuple[str, ...],
    words: tuple[str, ...] = (),
    array: str = "",
) -> set[str]:
    """Create the directories for a submission; return all that is in the work directory."""
    control_dir = work_dir.parent / "control"
    submission = Submission(
        ClaimTag("3f7e7681", 1), work_dir / "shell", work_dir, control_dir, words, lines, name="job.sh",
        array=ArrayRange.parse(array) if array else None,
    )  # fmt: skip
    for directory in plan(submission).output_dirs:
        make_output_dir(work_dir, directory)
    return made(work_dir)


def by_slurm(work_dir: Path, *lines: str, words: tuple[str, ...] = (), array: str = "") -> set[str]:
    return made_by(lambda submission: plan_sbatch(submission, account(), {}), work_dir, lines, words, array)


def by_grid_engine(work_dir: Path, *lines: str, words: tuple[str, ...] = (), array: str = "") -> set[str]:
    return made_by(
        lambda submission: plan_grid_engine_qsub(submission, account()), work_dir, lines, words, array
    )


def made(work_dir: Path) -> set[str]:
    return {
        str(path.relative_to(work_dir)) for path in work_dir.parent.rglob("*") if work_dir in path.parents
    }


def test_directory_of_slurms_case_is_made(work_dir: Path) -> None:
    lines = [line for line in case("01", "job.sh").splitlines() if line.startswith("#SBATCH")]

    assert by_slurm(work_dir, *lines) == {"logs"}


def test_directory_of_grid_engines_case_is_made(work_dir: Path) -> None:
    lines = [line for line in case("01", "job_ge.sh").splitlines() if line.startswith("#$")]

    assert by_grid_engine(work_dir, *lines) == {"logs"}


@pytest.mark.parametrize(
    ("words", "directories"),
    [
        (("-o", "a/b/%j.out"), {"a", "a/b"}),
        (("-oa/%x", "--error=./b/../c/x"), {"a", "c"}),
        (("-J", "my job", "-o", "%x/%%/%u/out"), {"my job", "my job/%", f"my job/%/{account()}"}),
        (("-D", "sub", "-o", "logs/x"), {"sub", "sub/logs"}),
        (("-D", "/nowhere", "-o", "logs/x"), set()),
        (("-o", "logs\\/%j/x"), {"logs", "logs/%j"}),
        (("-o", "../x/y", "-e", "/nowhere/%j/z"), set()),
        (("-o", "none",), set()),
    ],
)  # fmt: skip
def test_directories_are_those_that_sbatch_would_need(
    work_dir: Path, words: tuple[str, ...], directories: set[str]
) -> None:
    assert by_slurm(work_dir, words=words) == directories
    assert not (work_dir.parent / "x").exists()


def test_each_task_has_its_directory(work_dir: Path, tmp_path: Path) -> None:
    assert by_slurm(work_dir, words=("-o", "t%3a/out"), array="1,7") == {"t001", "t007"}
    other = tmp_path / "other"
    other.mkdir()
    assert by_grid_engine(other, words=("-o", "t$TASK_ID/out"), array="1-2") == {"t1", "t2"}


@pytest.mark.parametrize(
    ("words", "directories"),
    [
        (("-o", "logs/"), {"logs"}),
        (("-o", "logs"), set()),
        (("-o", "node1:a/x,node2:b/x,c/x", "-e", ":d/"), {"a", "b", "c", "d"}),
        (("-N", "train", "-o", "$JOB_NAME/$USER/"), {"train", f"train/{account()}"}),
        (("-wd", "/nowhere", "-o", "logs/"), set()),
        (("-o", "$HOME/cloudq-nowhere/"), set()),
    ],
)
def test_directories_are_those_that_qsub_would_need(
    work_dir: Path, words: tuple[str, ...], directories: set[str]
) -> None:
    assert by_grid_engine(work_dir, words=words) == directories
    assert not (Path.home() / "cloudq-nowhere").exists()


def test_directory_named_after_the_jobs_id_is_refused_by_name(work_dir: Path) -> None:
    with pytest.raises(SubmitRefused, match=r"--output logs/%j/out: %j is in the name of a directory"):
        by_slurm(work_dir, "#SBATCH -o logs/%j/out")
    with pytest.raises(SubmitRefused, match=r"-e \$JOB_ID/: \$JOB_ID is in the name"):
        by_grid_engine(work_dir, "#$ -e $JOB_ID/")


def test_link_in_the_work_directory_is_not_followed(work_dir: Path) -> None:
    (work_dir / "logs").symlink_to(work_dir.parent / "elsewhere")
    (work_dir.parent / "elsewhere").mkdir()

    by_slurm(work_dir, "#SBATCH -o logs/deep/out")

    assert list((work_dir.parent / "elsewhere").iterdir()) == []


def test_directories_are_those_that_pbs_would_need(work_dir: Path) -> None:
    lines = ("#PBS -o t^array_index^/out -J 1-3:2",)

    assert made_by(plan_pbs_qsub, work_dir, lines, ("-e", "node1:b/x")) == {"t1", "t3", "b"}


def test_directories_for_too_many_tasks_are_refused(work_dir: Path) -> None:
    with pytest.raises(SubmitRefused, match="each of 30000 tasks would need a directory"):
        by_slurm(work_dir, words=("-o", "%a/out"), array="1-30000")
    assert made(work_dir) == set()


def test_task_is_filled_up_to_ten_digits_however_many_are_asked_for(work_dir: Path) -> None:
    assert by_slurm(work_dir, words=("-o", "%999999999999a/out"), array="1-1") == {"0000000001"}
