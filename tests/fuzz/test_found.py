"""Repeat each finding of the fuzzers as a single test."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters.job_repository import BucketJobFiles, keys
from cloudq.adapters.schedulers.grid_engine.parse import amount, parse_accounts, parse_free_slots, parse_list
from cloudq.adapters.schedulers.local.job_queue import LocalQueue
from cloudq.adapters.schedulers.pbs.states import numbers_not_known
from cloudq.adapters.schedulers.slurm.parse import parse_sinfo
from cloudq.adapters.workspace.pack import read_baseline
from cloudq.domain.errors import SchedulerUnavailable
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.testing.fake_clock import FakeClock
from tests.builders import a_finished_job
from tests.parts.dict_store import DictStore
from tests.parts.serial_ids import SerialIds

LONG = "9" * 5000
"""More digits than Python reads as a number."""


def test_a_baseline_with_a_number_of_5000_digits_is_no_baseline_of_that_file() -> None:
    assert read_baseline(f"{LONG} 1 1 a\x001 1 1 b\x00".encode()) == {"b": (1, 1, 1)}


@pytest.mark.parametrize("fields", ['"array": "", "limit_s": Infinity', '"array": [2], "limit_s": 60'])
def test_a_local_job_with_an_infinite_limit_or_an_array_that_is_no_text_is_no_job(
    tmp_path: Path, fields: str
) -> None:
    told = f'{{"tag": "3f7e7681.1", "job_shell": "/x", "work_dir": "/x", "control_dir": "/x", "slots": 1, {fields}}}'
    (tmp_path / "jobs/1").mkdir(parents=True)
    (tmp_path / "jobs/1/job.json").write_text(told)

    assert LocalQueue(tmp_path).read("1") is None


def an_account(task: str) -> str:
    return f"{'=' * 62}\nowner me\njobnumber 5\ntaskid {task}\nfailed 0\nexit_status 3\n"


@pytest.mark.parametrize("task", ["²", "٣", LONG])
def test_a_task_whose_id_is_made_of_other_digits_is_nobodys(task: str) -> None:
    assert parse_accounts(an_account(task), "5", "me").keys() == {None}


def test_a_job_whose_id_is_made_of_other_digits_is_no_answer() -> None:
    row = "<job_list><JB_job_number>٣</JB_job_number><state>r</state></job_list>"
    with pytest.raises(SchedulerUnavailable):
        parse_list(f"<job_info>{row}</job_info></job_info>")


def test_slots_and_times_of_5000_digits_are_not_read() -> None:
    for read, text in ((parse_sinfo, f"cq|main*|0/{LONG}/0/1"), (parse_free_slots, f"q 0 0 0 {LONG} 0 0 0")):
        with pytest.raises(SchedulerUnavailable):
            read(text)
    assert amount(f"{LONG}:00:00") > 0
    assert numbers_not_known(f"qstat: Unknown Job Id {LONG}.pbs1") == frozenset()


def test_the_logs_of_task_0_are_brought_out(tmp_path: Path) -> None:
    """Found during other work: an array that was requested in a scheduler's own words may begin at 0."""
    store = DictStore(FakeClock().now)
    files = BucketJobFiles(store, SerialIds())
    job = a_finished_job(array_tid=ArrayRange.parse("0-1", lowest=0))
    store.put(keys.script(job.uuid, job.name), b"true\n")
    for task in (0, 1):
        store.put(keys.log(job.tag, "stdout", task), b"out")

    assert {path.name for path in files.download_all(job, tmp_path / "new").files} == {
        "run.sh",
        "stdout.0",
        "stdout.1",
    }
