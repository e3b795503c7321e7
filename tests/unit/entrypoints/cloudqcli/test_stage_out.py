"""``stageout``: chosen files, directories that are completed later, and one file on stdout."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.application.client.stage_out import MARKER
from tests.parts.scripted_scheduler import Script
from tests.unit.entrypoints.cloudqcli.conftest import Cli

FILES = {
    "result.txt": b"42\n",
    "model/best.pt": b"\x00\x1b[2J",
    "model/last.pt": b"last",
    "log.csv": b"a,b\n",
}


@pytest.fixture
def job_id(cli: Cli) -> str:
    """A job that ended, with an input and several outputs."""
    data = cli.script("data.txt", "input")
    return cli.ended("--input", data, script=Script(5, 0, "out\n", "err\n", FILES))


def files_in(target: Path) -> list[str]:
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())


ALL = [
    "input/data.txt", "output/log.csv", "output/model/best.pt", "output/model/last.pt", "output/result.txt",
    "run.sh", "stderr", "stdout",
]  # fmt: skip


@pytest.mark.parametrize(
    ("patterns", "files"),
    [
        (["*.pt"], ["output/model/best.pt", "output/model/last.pt"]),
        (["model/best.pt", "std*"], ["output/model/best.pt", "stderr", "stdout"]),
        (["input/*"], ["input/data.txt"]),
        (["run.sh"], ["run.sh"]),
    ],
)
def test_only_the_chosen_files_come(cli: Cli, job_id: str, patterns: list[str], files: list[str]) -> None:
    options = [word for pattern in patterns for word in ("--only", pattern)]
    result = cli("stageout", job_id, "--into", cli.world.tmp / "here", *options)
    target = cli.world.tmp / "here" / job_id

    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{target}\n", "")
    assert files_in(target) == [MARKER, *files]
    assert {path.name for path in target.iterdir()} == {MARKER, *(name.partition("/")[0] for name in files)}


def test_a_choice_that_matches_nothing_creates_nothing(cli: Cli, job_id: str) -> None:
    result = cli("stageout", job_id, "--into", cli.world.tmp / "here", "--only", "*.npz", "--only", "x/y")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"cloudqcli: job ({job_id}) has no file that matches '*.npz' or 'x/y'\n"
    assert list((cli.world.tmp / "here").iterdir()) == []


def test_a_directory_of_chosen_files_is_completed_later(cli: Cli, job_id: str) -> None:
    """A file that the user changed in the meantime stays as it is."""
    here = cli.world.tmp / "here"
    for pattern in ("*.txt", "*.csv"):
        assert cli("stageout", job_id, "--into", here, "--only", pattern).exit_code == 0
    (here / job_id / "output" / "result.txt").write_text("mine")
    whole = cli("stageout", job_id, "--into", here)
    again = cli("stageout", job_id, "--into", here)

    assert (whole.exit_code, whole.stderr, again.exit_code) == (0, "", 2)
    assert files_in(here / job_id) == ALL
    assert (here / job_id / "output" / "result.txt").read_text() == "mine"


def test_an_early_download_is_named_and_completed_later(cli: Cli) -> None:
    agent = cli.agent(Script(60, 0, "out\n", "", {"result.txt": b"42"}))
    job_id = cli.submit()
    agent.cycles(3)
    here = cli.world.tmp / "here"
    early = cli("stageout", job_id, "--into", here)
    before = files_in(here / job_id)
    marker = (here / job_id / MARKER).read_text()
    agent.until_final(job_id)
    late = cli("stageout", job_id, "--into", here)

    assert (early.exit_code, late.exit_code, late.stderr) == (0, 0, "")
    assert early.stderr.startswith(
        f"Job ({job_id}) is RUN: its outputs and logs are stored once it has ended."
    )
    assert before == [MARKER, "run.sh"]
    assert "The job had not ended." in marker
    assert files_in(here / job_id) == ["output/result.txt", "run.sh", "stdout"]


def test_a_directory_without_an_archive_is_completed_later(cli: Cli, job_id: str) -> None:
    key = f"jobs/{job_id}/1/output.zip"
    archive = cli.world.body(key)
    cli.world.store.delete([key])
    here = cli.world.tmp / "here"
    partial = cli("stageout", job_id, "--into", here)
    before = files_in(here / job_id)
    cli.world.store.put(key, archive)
    whole = cli("stageout", job_id, "--into", here)

    assert (partial.exit_code, whole.exit_code) == (16, 0)
    assert before == [MARKER, "input/data.txt", "run.sh", "stderr", "stdout"]
    assert files_in(here / job_id) == ALL


@pytest.mark.parametrize("marker", ["", "job 12345678 nonce\n", "anything"])
def test_a_directory_of_anything_else_is_left_alone(cli: Cli, job_id: str, marker: str) -> None:
    target = cli.world.tmp / "here" / job_id
    target.mkdir(parents=True)
    (target / MARKER).write_text(marker)

    assert cli("stageout", job_id, "--into", target.parent).exit_code == 2
    assert files_in(target) == [MARKER]


def test_one_output_file_is_printed_unchanged(cli: Cli, job_id: str) -> None:
    result = cli("stageout", job_id, "--cat", "model/best.pt")

    assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, FILES["model/best.pt"], "")
    assert cli("stageout", job_id, "--cat", "*.csv").stdout_bytes == b"a,b\n"


def test_the_only_output_file_needs_no_name(cli: Cli) -> None:
    job_id = cli.ended(script=Script(5, 0, "", "", {"result.txt": b"42\n"}))

    assert cli("stageout", job_id, "--cat", "-").stdout == "42\n"


def test_several_matching_files_are_named(cli: Cli, job_id: str) -> None:
    several = cli("stageout", job_id, "--cat", "*.pt")
    none = cli("stageout", job_id, "--cat", "other")

    assert (several.exit_code, several.stdout, none.exit_code) == (2, "", 2)
    assert several.stderr == (
        f"cloudqcli: '*.pt' matches 2 output files of job ({job_id}): "
        "model/best.pt, model/last.pt; name one\n"
    )
    assert none.stderr == f"cloudqcli: job ({job_id}) has no file that matches 'output/other'\n"


def test_a_job_that_runs_has_no_output_file_yet(cli: Cli) -> None:
    job_id = cli.submit()
    result = cli("stageout", job_id, "--cat", "x")

    assert (result.exit_code, result.stdout) == (7, "")
    assert result.stderr == f"cloudqcli: Job ({job_id}) is INIT: its outputs are stored once it has ended.\n"


def test_a_printed_file_has_no_directory(cli: Cli) -> None:
    assert cli("stageout", "3f7e7681", "--cat", "x", "--into", "here").exit_code == 2
