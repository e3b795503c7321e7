"""A client's memory: what it keeps, for whom, and that it never fails a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters.client_memory import MAX_JOBS, FileClientMemory, memory_directory


@pytest.fixture
def memory(tmp_path: Path) -> FileClientMemory:
    return FileClientMemory(tmp_path / "recent" / "bucket", "laptop.example.org")


def test_an_empty_memory_knows_nothing(memory: FileClientMemory) -> None:
    assert (memory.last_submission(), memory.jobs(), memory.systems()) == (None, [], [])


def test_the_last_submission_is_kept_and_is_the_first_of_the_jobs(memory: FileClientMemory) -> None:
    for job_id in ("00000001", "00000002"):
        memory.note_submission(job_id)
    memory.note_jobs(["00000003"])

    assert memory.last_submission() == "00000002"
    assert memory.jobs() == ["00000003", "00000002", "00000001"]


def test_each_host_of_a_shared_home_has_its_own_last_submission(memory: FileClientMemory) -> None:
    other = FileClientMemory(memory.directory, "../cluster")
    memory.note_submission("00000001")
    other.note_submission("00000002")

    assert (memory.last_submission(), other.last_submission()) == ("00000001", "00000002")
    assert {path.parent for path in memory.directory.parent.rglob("last*")} == {memory.directory}


def test_each_bucket_has_its_own_memory(tmp_path: Path) -> None:
    assert memory_directory(tmp_path, "bucket one") != memory_directory(tmp_path, "bucket two")


def test_only_some_of_very_many_jobs_are_kept(memory: FileClientMemory) -> None:
    memory.note_jobs(f"{n:08x}" for n in range(2 * MAX_JOBS))

    assert len(memory.jobs()) == MAX_JOBS
    assert memory.jobs()[0] == "00000000"


def test_systems_are_sorted(memory: FileClientMemory) -> None:
    memory.note_systems(["beta"])
    memory.note_systems(["alpha", "beta"])

    assert memory.systems() == ["alpha", "beta"]


def test_damaged_files_are_ignored(memory: FileClientMemory) -> None:
    memory.note_submission("00000001")
    for path in memory.directory.iterdir():
        path.write_bytes(b"\xff\x00\n../x\n$(reboot)\n")

    assert (memory.last_submission(), memory.jobs()) == (None, [])


def test_files_are_private_and_complete(memory: FileClientMemory) -> None:
    memory.note_submission("00000001")

    assert {path.name for path in memory.directory.iterdir()} == {"jobs", "last.laptop.example.org"}
    assert {path.stat().st_mode & 0o077 for path in memory.directory.iterdir()} == {0}


def test_a_home_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "recent").write_text("a file")
    memory = FileClientMemory(tmp_path / "recent" / "bucket", "laptop")
    memory.note_submission("00000001")

    assert memory.last_submission() is None
