"""Test `JobFiles`: scripts, inputs, logs, outputs (protocol sections 2 and 7.5)."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.job_repository import BucketJobFiles, files, keys
from cloudq.domain.errors import InvalidInput, JobNotFound, RecordRejected, StoreUnavailable
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.wanted_files import WantedFiles
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.ports.job_repository import JobFiles
from tests.builders import JOB_ID, NOON, a_finished_job, a_job
from tests.contracts.conftest import put_foreign
from tests.parts.counting_store import CountingStore
from tests.parts.dict_store import DictStore
from tests.parts.serial_ids import SerialIds

TAG = ClaimTag(JOB_ID, 1)


@pytest.fixture(name="job_files")
def _job_files(store: CountingStore, ids: SerialIds) -> JobFiles:
    return BucketJobFiles(store, ids)


def a_file(folder: Path, content: bytes) -> Path:
    """Create a file with that content."""
    file = folder / "file"
    file.write_bytes(content)
    return file


class TestScripts:
    def test_a_script_comes_back_byte_for_byte_for_one_request_each(
        self, job_files: JobFiles, store: CountingStore
    ) -> None:
        script = Jobscript("my run 'é'.sh", b"#!/bin/sh\n\xff\n")
        job_files.put_script(JOB_ID, script)

        assert job_files.script(a_job(name=script.name)) == script
        assert store.counts == {"PUT": 1, "GET": 1}

    def test_an_absent_script_is_told(self, job_files: JobFiles) -> None:
        with pytest.raises(RecordRejected, match=r"script/run\.sh is absent"):
            job_files.script(a_job())

    def test_a_script_of_many_megabytes_is_refused(self, job_files: JobFiles, store: CountingStore) -> None:
        store.put(keys.script(JOB_ID, "run.sh"), b"x" * 4_200_000)

        with pytest.raises(RecordRejected, match="larger"):
            job_files.script(a_job())

    def test_whether_the_script_is_there_costs_one_request(
        self, job_files: JobFiles, store: CountingStore
    ) -> None:
        job = a_job()
        assert not job_files.holds_script(job)
        job_files.put_script(job.uuid, Jobscript(job.name, b"echo"))
        store.reset()

        assert job_files.holds_script(job)
        assert store.counts == {"GET": 1}

    def test_a_job_is_complete_with_its_script_and_the_inputs_that_it_has(
        self, job_files: JobFiles, store: CountingStore, tmp_path: Path
    ) -> None:
        job = a_job(has_input=True)
        assert not job_files.are_complete(job)

        job_files.put_script(job.uuid, Jobscript(job.name, b"echo"))
        assert not job_files.are_complete(job)
        assert job_files.are_complete(a_job())

        job_files.put_input(job.uuid, a_file(tmp_path, b"archive"))
        store.reset()
        assert job_files.are_complete(job)
        assert store.counts == {"LIST": 1}

    def test_what_a_meta_jobscript_became_lies_beside_its_results_for_one_request(
        self, job_files: JobFiles, store: CountingStore
    ) -> None:
        job_files.put_local_script(TAG, Jobscript("mjob_local.sh", b"echo"))

        assert store.get(f"jobs/{JOB_ID}/1/local/mjob_local.sh").body == b"echo"
        assert store.counts == {"PUT": 1, "GET": 1}

    def test_a_script_keeps_its_file_name_whatever_its_job_is_called(self, job_files: JobFiles) -> None:
        job = a_job(name="my job", script_file="run.sh")
        job_files.put_script(job.uuid, Jobscript(job.name, b"echo"))

        assert job_files.script(job) == Jobscript("run.sh", b"echo")
        assert job_files.are_complete(job)


class TestTaskArguments:
    LINES = (("--lr", "0.1"), ("it's a 'b'", "", "$HOME\t*"))

    def test_they_come_back_for_one_request_each(self, job_files: JobFiles, store: CountingStore) -> None:
        job_files.put_task_arguments(JOB_ID, self.LINES)

        assert job_files.task_arguments(a_job(has_task_arguments=True)) == self.LINES
        assert store.counts == {"PUT": 1, "GET": 1}

    def test_absent_ones_are_reported(self, job_files: JobFiles) -> None:
        with pytest.raises(RecordRejected, match="the arguments of the job's tasks are gone"):
            job_files.task_arguments(a_job(has_task_arguments=True))

    @pytest.mark.parametrize("body", [b"", b"'open\n", b"\xff\n", b"nul\0\n", b"x" * (5 << 20)])
    def test_anything_else_in_their_place_is_rejected(
        self, job_files: JobFiles, store: CountingStore, body: bytes
    ) -> None:
        store.put(keys.task_arguments(JOB_ID), body)

        with pytest.raises(RecordRejected):
            job_files.task_arguments(a_job(has_task_arguments=True))

    def test_a_job_is_complete_with_them(self, job_files: JobFiles) -> None:
        job = a_job(has_task_arguments=True)
        job_files.put_script(job.uuid, Jobscript(job.name, b"echo"))
        assert not job_files.are_complete(job)

        job_files.put_task_arguments(job.uuid, self.LINES)
        assert job_files.are_complete(job)


class TestInputs:
    def test_an_archive_comes_back(self, job_files: JobFiles, tmp_path: Path) -> None:
        job_files.put_input(JOB_ID, a_file(tmp_path, b"zip"))

        assert job_files.fetch_input(JOB_ID, tmp_path / "input.zip") == 3
        assert (tmp_path / "input.zip").read_bytes() == b"zip"

    def test_what_an_earlier_fetch_left_is_replaced(self, job_files: JobFiles, tmp_path: Path) -> None:
        job_files.put_input(JOB_ID, a_file(tmp_path, b"zip"))
        (tmp_path / "input.zip").write_bytes(b"of an agent that died before it extracted it")

        job_files.fetch_input(JOB_ID, tmp_path / "input.zip")

        assert (tmp_path / "input.zip").read_bytes() == b"zip"

    def test_an_absent_archive_is_told(self, job_files: JobFiles, tmp_path: Path) -> None:
        with pytest.raises(RecordRejected, match=r"input\.zip is absent"):
            job_files.fetch_input(JOB_ID, tmp_path / "input.zip")


class TestWholeLogs:
    @pytest.mark.parametrize("task", [None, 7])
    def test_a_log_comes_back(self, job_files: JobFiles, task: int | None) -> None:
        job_files.put_log(TAG, "stdout", task, iter([b"hello\n"]))

        assert b"".join(job_files.read_log(TAG, "stdout", task)) == b"hello\n"
        assert b"".join(job_files.read_log(TAG, "stderr", task)) == b""
        assert b"".join(job_files.read_log(TAG, "stdout", 8)) == b""

    def test_only_two_streams_exist(self, job_files: JobFiles) -> None:
        with pytest.raises(InvalidInput, match="neither"):
            b"".join(job_files.read_log(TAG, "../manifest.json", None))


class TestLogPieces:
    def _read(self, job_files: JobFiles, offset: int = 0) -> bytes:
        return b"".join(job_files.log_pieces(TAG, "stdout", None, offset))

    def test_pieces_are_joined(self, job_files: JobFiles) -> None:
        for offset, piece in ((0, b"one "), (4, b"two "), (8, b"three")):
            job_files.put_log_piece(TAG, "stdout", None, offset, piece)

        assert self._read(job_files) == b"one two three"
        assert self._read(job_files, 6) == b"o three"
        assert self._read(job_files, 13) == b""
        assert self._read(job_files, 99) == b""

    def test_overlaps_are_dropped(self, job_files: JobFiles) -> None:
        for offset, piece in ((0, b"one two"), (2, b"e"), (4, b"two three"), (8, b"three")):
            job_files.put_log_piece(TAG, "stdout", None, offset, piece)

        assert self._read(job_files) == b"one two three"

    def test_a_gap_ends_it(self, job_files: JobFiles) -> None:
        job_files.put_log_piece(TAG, "stdout", None, 0, b"one ")
        job_files.put_log_piece(TAG, "stdout", None, 8, b"three")

        assert self._read(job_files) == b"one "
        assert self._read(job_files, 5) == b""

    def test_streams_tasks_and_claims_are_apart(self, job_files: JobFiles) -> None:
        job_files.put_log_piece(TAG, "stderr", None, 0, b"x")
        job_files.put_log_piece(TAG, "stdout", 1, 0, b"y")
        job_files.put_log_piece(ClaimTag(JOB_ID, 2), "stdout", None, 0, b"z")

        assert self._read(job_files) == b""

    def test_foreign_keys_are_skipped(self, job_files: JobFiles, store: CountingStore) -> None:
        job_files.put_log_piece(TAG, "stdout", None, 0, b"one")
        names = ("", "0", "x" * 20, "00000000000000000003/00000000000000000003", "٠" * 20)
        put_foreign(store, *(keys.log_pieces(TAG, "stdout", None) + name for name in names))

        assert self._read(job_files) == b"one"

    def test_a_follower_lists_only_the_end_of_a_long_log(
        self, job_files: JobFiles, store: CountingStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "MAX_PIECE_BYTES", 10)
        for offset in range(0, 30_000, 10):
            job_files.put_log_piece(TAG, "stdout", None, offset, b"x" * 10)
        store.reset()

        assert self._read(job_files, 29_995) == b"x" * 5
        assert store.counts == {"LIST": 1, "GET": 1}

    def test_a_large_piece_is_put_as_several(
        self, job_files: JobFiles, store: CountingStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "MAX_PIECE_BYTES", 4)

        job_files.put_log_piece(TAG, "stdout", None, 0, b"0123456789")

        assert store.counts == {"PUT": 3}
        assert self._read(job_files) == b"0123456789"

    @given(
        st.binary(max_size=30),
        st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)), max_size=12),
        st.integers(0, 30),
    )
    def test_whatever_the_pieces_a_reader_gets_a_part_of_the_log_without_a_gap(
        self, log: bytes, spans: list[tuple[int, int]], offset: int
    ) -> None:
        job_files = BucketJobFiles(DictStore(lambda: NOON), SerialIds())
        for start, length in spans:
            job_files.put_log_piece(TAG, "stdout", None, start, log[start : start + length])
        stand = dict(spans)  # of two pieces at one offset, the later one replaced the earlier one
        covered = {p for start, length in stand.items() for p in range(start, min(start + length, len(log)))}
        end = next(place for place in range(offset, len(log) + offset + 1) if place not in covered)

        assert self._read(job_files, offset) == log[offset:end]

    def test_dropping_them_leaves_the_whole_logs(
        self, job_files: JobFiles, store: CountingStore, tmp_path: Path
    ) -> None:
        job_files.put_log(TAG, "stdout", None, iter([b"whole"]))
        for task in (None, 1, 2):
            job_files.put_log_piece(TAG, "stdout", task, 0, b"piece")
        store.reset()

        job_files.drop_log_pieces(TAG)

        assert store.counts == {"LIST": 1, "POST": 1}
        assert [listed.key for listed in store.inner.list_page("").objects] == [keys.log(TAG, "stdout", None)]


class TestLogSizes:
    def test_a_running_job_has_the_sizes_of_its_pieces(
        self, job_files: JobFiles, store: CountingStore
    ) -> None:
        running = evolve(a_job(claim=1, array_tid=ArrayRange.parse("1-3")), run_system="alpha")
        job_files.put_log_piece(TAG, "stdout", 1, 0, b"12345")
        job_files.put_log_piece(TAG, "stdout", 1, 5, b"678")
        job_files.put_log_piece(TAG, "stdout", 3, 0, b"1")
        job_files.put_log_piece(TAG, "stdout", 4, 0, b"no such task")
        job_files.put_log_piece(TAG, "stderr", 2, 0, b"another stream")
        job_files.put_log(TAG, "stdout", 2, iter([b"a whole log"]))
        store.reset()

        assert job_files.log_sizes(running, "stdout") == {1: 8, 3: 1}
        assert store.counts == {"LIST": 1}

    def test_a_final_job_has_the_sizes_of_its_whole_logs(self, job_files: JobFiles) -> None:
        final = a_finished_job(array_tid=ArrayRange.parse("1-3"))
        job_files.put_log_piece(TAG, "stdout", 1, 0, b"12345")
        job_files.put_log(TAG, "stdout", 2, iter([b"whole"]))

        assert job_files.log_sizes(final, "stdout") == {2: 5}

    def test_a_job_that_nobody_took_has_no_logs(self, job_files: JobFiles) -> None:
        assert job_files.log_sizes(a_job(), "stdout") == {}


class TestDownloadAll:
    @pytest.fixture
    def job(self, job_files: JobFiles, tmp_path: Path) -> Job:
        """An array job with every kind of file."""
        job_files.put_script(JOB_ID, Jobscript("run.sh", b"#!/bin/sh\n"))
        job_files.put_input(JOB_ID, a_file(tmp_path, b"input"))
        job_files.put_log(TAG, "stdout", 1, iter([b"out 1"]))
        job_files.put_log(TAG, "stderr", 2, iter([b"err 2"]))
        job_files.put_log_piece(TAG, "stdout", 1, 0, b"piece")
        job_files.put_output(TAG, 1, iter([b"out", b"put"]))
        return a_finished_job(has_input=True, array_tid=ArrayRange.parse("1-2"))

    def test_everything_of_the_last_claim_is_written(
        self, job_files: JobFiles, job: Job, tmp_path: Path, store: CountingStore
    ) -> None:
        job_files.put_log(ClaimTag(JOB_ID, 2), "stdout", 1, iter([b"another claim's"]))
        store.reset()

        written = job_files.download_all(job, tmp_path / "new" / JOB_ID).files

        assert {path.name: path.read_bytes() for path in written} == {
            "run.sh": b"#!/bin/sh\n", "input.zip": b"input", "output.zip": b"output",
            "stdout.1": b"out 1", "stderr.2": b"err 2",
        }  # fmt: skip
        assert {path.parent for path in written} == {tmp_path / "new" / JOB_ID}
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [JOB_ID]
        assert store.counts == {"LIST": 1, "GET": 5}

    def test_a_job_that_nobody_ran_has_its_script(self, job_files: JobFiles, tmp_path: Path) -> None:
        job_files.put_script(JOB_ID, Jobscript("run.sh", b"true\n"))

        assert job_files.download_all(a_job(), tmp_path / "new").files == [tmp_path / "new" / "run.sh"]

    def test_nothing_is_overwritten(self, job_files: JobFiles, job: Job, tmp_path: Path) -> None:
        (tmp_path / "old").mkdir()

        with pytest.raises(InvalidInput, match="exists already"):
            job_files.download_all(job, tmp_path / "old")
        assert list((tmp_path / "old").iterdir()) == []

    def test_where_nothing_can_be_written_it_says_so(
        self, job_files: JobFiles, job: Job, tmp_path: Path
    ) -> None:
        (tmp_path / "plain").write_text("")

        with pytest.raises(InvalidInput, match="cannot write"):
            job_files.download_all(job, tmp_path / "plain" / "new")

    def test_hostile_keys_are_not_written(
        self, job_files: JobFiles, job: Job, tmp_path: Path, store: CountingStore
    ) -> None:
        names = ("../../x", "stdout.1/../../x", "stdout.x", ".bashrc", "stdout.01", "C:x")
        put_foreign(store, *(f"jobs/{JOB_ID}/1/{name}" for name in names))

        assert len(job_files.download_all(job, tmp_path / "new").files) == 5
        assert not any(b"foreign" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    def test_all_archives_that_the_record_tells_of_are_written_and_no_other(
        self, job_files: JobFiles, job: Job, tmp_path: Path
    ) -> None:
        for number in (2, 3):
            job_files.put_output(TAG, number, iter([b"part %d" % number]))

        found = job_files.download_all(evolve(job, output_archives=2), tmp_path / "new")

        archives = {path.name: path.read_bytes() for path in found.files if path.suffix == ".zip"}
        assert archives == {"input.zip": b"input", "output.zip": b"output", "output.2.zip": b"part 2"}
        assert found.problems == ()

    def test_an_archive_that_is_gone_or_does_not_fit_costs_nothing_else(
        self,
        job: Job,
        job_files: JobFiles,
        store: CountingStore,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        store.delete([keys.input_archive(JOB_ID)])
        real = store.inner.download

        def download(key: str, target: Path, **more: Any) -> int:
            if key.endswith("output.zip"):
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(key, target, **more)

        monkeypatch.setattr(type(store.inner), "download", lambda _, *args, **more: download(*args, **more))

        found = job_files.download_all(evolve(job, output_archives=1), tmp_path / "new")

        assert {path.name for path in found.files} == {"run.sh", "stdout.1", "stderr.2"}
        assert found.problems == (
            f"input.zip: jobs/{JOB_ID}/input.zip is no longer in the store",
            "output.zip: not enough space for it here; stage out to another place",
        )

    @pytest.mark.parametrize(
        "name",
        [
            "stdout",
            "stdout.1",
            "STDOUT.1",
            "output.zip",
            "output.7.zip",
            "input.zip",
            "Input.ZIP",
            "input",
            "Output",
        ],
    )
    def test_a_script_with_a_name_of_cloudq_s_own_gets_another(
        self, job_files: JobFiles, job: Job, tmp_path: Path, name: str
    ) -> None:
        job_files.put_script(JOB_ID, Jobscript(name, b"the script"))

        job_files.download_all(evolve(job, name=name), tmp_path / "new")

        assert (tmp_path / "new" / f"script.{name}").read_bytes() == b"the script"
        assert len(list((tmp_path / "new").iterdir())) == 5

    def test_only_wanted_files_are_written_and_only_their_archives(
        self, job_files: JobFiles, job: Job, tmp_path: Path, store: CountingStore
    ) -> None:
        store.reset()

        written = job_files.download_all(job, tmp_path / "new", wanted=WantedFiles(("output/*.csv",)))

        assert {path.name for path in written.files} == {"output.zip"}
        assert store.counts == {"LIST": 1, "GET": 1}

    def test_a_directory_is_completed_without_overwriting_anything(
        self, job_files: JobFiles, job: Job, tmp_path: Path
    ) -> None:
        """Links in the old directory are not followed."""
        (tmp_path / "old" / "deep").mkdir(parents=True)
        (tmp_path / "old" / "run.sh").write_text("mine")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "old" / "link").symlink_to(tmp_path / "elsewhere")

        def finish(folder: Path) -> None:
            for name in ("deep", "link"):
                (folder / name).mkdir()
                (folder / name / "new").write_text("new")

        job_files.download_all(job, tmp_path / "old", finish, completes=True)

        assert (tmp_path / "old" / "run.sh").read_text() == "mine"
        assert (tmp_path / "old" / "stdout.1").read_bytes() == b"out 1"
        assert (tmp_path / "old" / "deep" / "new").read_text() == "new"
        assert list((tmp_path / "elsewhere").iterdir()) == []
        assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []

    def test_the_progress_grows_to_the_total(self, job_files: JobFiles, job: Job, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []

        job_files.download_all(
            evolve(job, size_input=15), tmp_path / "new", note=lambda done, total: seen.append((done, total))
        )

        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert all(done <= total for done, total in seen)
        assert seen[-1][0] == len(b"#!/bin/sh\n" + b"input" + b"output" + b"out 1" + b"err 2")

    def test_a_job_deleted_meanwhile_is_told_and_leaves_no_half_directory(
        self, job_files: JobFiles, job: Job, tmp_path: Path, store: CountingStore
    ) -> None:
        store.delete([keys.script(JOB_ID, "run.sh")])
        (tmp_path / "here").mkdir()

        with pytest.raises(JobNotFound, match="deleted in the meantime"):
            job_files.download_all(job, tmp_path / "here" / "new")
        assert list((tmp_path / "here").iterdir()) == []

    def test_a_store_that_fails_leaves_no_half_directory(self, job: Job, tmp_path: Path) -> None:
        class Failing(DictStore):
            def download(self, key: str, target: Path, **_: Any) -> int:
                target.write_bytes(b"half")
                raise StoreUnavailable("down")

        failing = BucketJobFiles(Failing(lambda: NOON), SerialIds())
        (tmp_path / "here").mkdir()

        with pytest.raises(StoreUnavailable):
            failing.download_all(job, tmp_path / "here" / "new")
        assert list((tmp_path / "here").iterdir()) == []
