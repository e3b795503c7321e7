"""What the fuzzers found, each once more by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters.schedulers.grid_engine_parse import amount, parse_accounts, parse_free_slots, parse_list
from cloudq.adapters.schedulers.local_queue import LocalQueue
from cloudq.adapters.schedulers.pbs_states import numbers_not_known
from cloudq.adapters.schedulers.slurm_parse import parse_sinfo
from cloudq.adapters.workspace.pack import read_baseline
from cloudq.domain.errors import SchedulerUnavailable

LONG = "9" * 5000
"""More digits than Python reads as a number."""


def test_a_baseline_with_a_number_of_5000_digits_is_no_baseline_of_that_file() -> None:
    assert read_baseline(f"{LONG} 1 1 a\x001 1 1 b\x00".encode()) == {"b": (1, 1, 1)}


def test_a_local_job_with_a_limit_of_infinite_seconds_is_no_job(tmp_path: Path) -> None:
    told = (
        '{"tag": "3f7e7681.1", "job_shell": "/x", "work_dir": "/x", "control_dir": "/x", "array": "", '
        '"slots": 1, "limit_s": Infinity}'
    )
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
