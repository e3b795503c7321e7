"""Test records and keys from an attacker, and files of job shells: they are read correctly or rejected."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters import codec
from cloudq.adapters.job_repository import keys
from cloudq.adapters.job_repository.history_keys import history_key, parse_history_key
from cloudq.adapters.schedulers.local.job_queue import LocalQueue
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.adapters.workspace.pack import read_baseline
from cloudq.domain.errors import InvalidInput, RecordRejected, WorkspaceProblem
from cloudq.domain.jobs.claim import ClaimKind
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.summary import ActiveJob, ActiveSummary
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.entrypoints.cloudqcli.output import active_record, job_record
from cloudq.entrypoints.cloudqcli.tables import history_line, list_line, stat_lines
from cloudq.entrypoints.shared.json_output import json_text
from cloudq.testing.fake_clock import FakeClock
from tests.builders import JOB_ID, a_claim, a_finished_job, a_job, a_lease
from tests.fuzz.damage import damaged, damaged_bytes, damaged_text

ARRAY = ArrayRange.parse("1-4%2")
TASKS = TaskStates.of({1: TaskState(JobState.DONE, 0), 2: TaskState(JobState.ERROR, 3)})
JOB = evolve(
    a_finished_job(exit_code=3), array_tid=ARRAY, tasks=TASKS, hold_jid=("00000001",),
    hold_ok_jid=("00000002",), size_input=5, has_input=True, submit_opt="--mem 4G", invited=("alpha", "beta"), local_name="run.sh",
)  # fmt: skip
SUMMARY = ActiveSummary(7, (ActiveJob.of(a_job(), "waits"), ActiveJob.of(a_job(uuid="00000001"))))


def shown(record: Any) -> str:
    """Return everything that commands print about a job."""
    return "\n".join(
        [*stat_lines(record), list_line(ActiveJob.of(record, "x"), long=True), json_text(job_record(record))]
    )


RECORDS: dict[str, tuple[bytes, Callable[[bytes], Any], Callable[[Any], bytes], Callable[[Any], str]]] = {
    "manifest": (
        codec.encode_job(JOB), lambda body: codec.decode_job(body, "k", JOB_ID), codec.encode_job, shown,
    ),
    "new manifest": (
        codec.encode_job(a_job()), lambda body: codec.decode_job(body, "k", JOB_ID), codec.encode_job, shown,
    ),
    "claim": (
        codec.encode_claim(a_claim(2, ClaimKind.RELEASE, systems=("alpha", "beta"))),
        lambda body: codec.decode_claim(body, "k", 2), codec.encode_claim, str,
    ),
    "lease": (
        codec.encode_lease(a_lease(7)), lambda body: codec.decode_lease(body, "k", 7), codec.encode_lease, str,
    ),
    "summary": (
        codec.encode_summary(SUMMARY), lambda body: codec.decode_summary(body, "k", 7), codec.encode_summary,
        lambda summary: "\n".join(
            list_line(job, long=True) + json_text(active_record(job)) for job in summary.jobs
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", RECORDS)
@given(data=st.data())
def test_a_damaged_record_is_refused_or_can_be_shown_and_written_back(kind: str, data: st.DataObject) -> None:
    body, decode, encode, show = RECORDS[kind]
    read = data.draw(damaged(body))
    try:
        record = decode(read)
    except RecordRejected as error:
        assert len(str(error)) < 20_000
        return

    assert decode(encode(record)) == record
    if kind != "lease" and kind != "claim":
        assert all(char.isprintable() or char == "\n" for char in show(record))


KEYS = (
    f"jobs/{JOB_ID}/manifest.json", f"jobs/{JOB_ID}/claims/12.json", f"jobs/{JOB_ID}/1/stdout.3",
    f"jobs/{JOB_ID}/1/log/stdout.3/00000000000000000005", f"queue/alpha/{JOB_ID}.1",
    f"queue/alpha/{JOB_ID}.1.cancel.5", f"queue/alpha/{JOB_ID}.2.follow", "systems/alpha/lease/17.json",
    "systems/alpha/lease.json",
)  # fmt: skip


@given(st.sampled_from(KEYS).flatmap(lambda key: damaged_text(key, "/.0159afz٣²\n\x00-_~%")))
def test_a_damaged_key_says_nothing_or_what_the_same_key_would_say(key: str) -> None:
    tag = ClaimTag(JOB_ID, 1)
    queued = keys.split_queue_key(key)
    system = keys.split_system_key(key)

    assert queued is None or key.isascii()
    if queued is not None and not queued.request:
        assert keys.queue_entry(queued.system, queued.tag) == key
    if system is not None and system.kind == "lease":
        made = keys.old_lease(system.system, system.epoch) if system.epoch else keys.lease(system.system)
        assert made == key
    if (name := keys.result_name(key, tag)) is not None:
        assert name.isascii() and "/" not in name
    if (offset := keys.piece_offset(key)) is not None:
        assert key.endswith(f"{offset:020}")


@given(damaged_text(history_key(HistoryEntry.of(JOB)), "/.0159afz٣²\n\x00-_~%+"))
def test_a_damaged_history_key_is_no_entry_or_one_that_can_be_shown(key: str) -> None:
    entry = parse_history_key(key)

    assert entry is None or history_key(entry) == key
    assert entry is None or history_line(entry).isprintable()


def records_of_a_shell() -> dict[str, bytes]:
    times = b"started=2026-01-31T12:00:00Z\nfinished=2026-01-31T12:01:00Z\n"
    return {
        "owner.json": b'{"format":"1.0","system":"alpha","tag":"3f7e7681.1","nonce":"n"}',
        "lock": b"local_id=42\n",
        "start.42": b"local_id=42\nhost=node1\ntime=2026-01-31T12:00:00Z\n",
        "exit": b"local_id=42\nexit_code=3\nsignal=\nhost=node1\n"
        + times
        + b"stdout_size=5\nstderr_size=0\n",
        "intent.1": b"command=sbatch x\ntime_limit_s=10.0\nbegun_at=5.0\nboot_id=b\nprocess=h b n 1 2\n",
        "first_miss": b"boot_id=b\nat=5.0\n",
        "options": b'["-n", "1"]',
    }


@given(st.data())
def test_damaged_files_beside_a_work_directory_are_absent_or_say_no_more_than_before(
    data: st.DataObject,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        space = DirectoryClaimSpace(Path(folder), ClaimTag(JOB_ID, 1), FakeClock())
        space.control_dir.mkdir(parents=True)
        for name, content in records_of_a_shell().items():
            (space.control_dir / name).write_bytes(content)
        assert space.records([None])[None].exit is not None
        name = data.draw(st.sampled_from(sorted(records_of_a_shell())))
        content = data.draw(
            damaged(records_of_a_shell()[name]).filter(lambda body: b"exit_code=0" not in body)
        )
        (space.control_dir / name).write_bytes(content)
        for ask in (space.owner, space.kept_options):
            try:
                ask()
            except WorkspaceProblem:
                continue
        space.attempts()
        space.first_miss()
        exit_record = space.records([None])[None].exit

        assert exit_record is None or 0 <= exit_record.exit_code <= 255
        assert exit_record is None or exit_record.exit_code != 0 or b"exit_code" in content


@given(st.data())
def test_a_damaged_job_of_the_local_queue_is_no_job_or_one_with_a_claim(data: st.DataObject) -> None:
    told = {
        "format": "1.0", "tag": "3f7e7681.1", "job_shell": "/x/job_shell.sh", "work_dir": "/x", "control_dir": "/x",
        "array": "1-4%2", "slots": 2, "limit_s": 60, "kill_wait_s": 5.0,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        queue = LocalQueue(Path(folder))
        queue.job_dir("1").mkdir(parents=True)
        (queue.job_dir("1") / "job.json").write_bytes(data.draw(damaged(json.dumps(told).encode())))
        job = queue.read("1")

        assert job is None or isinstance(job.tag, ClaimTag)
        assert job is None or len(job.tasks) >= 1


@given(damaged_bytes(b"12 1700000000 99 a/b\x0013 1700000001 98 c d\x00"))
def test_a_damaged_baseline_costs_nothing_but_packing_more(content: bytes) -> None:
    assert all(len(mark) == 3 for mark in read_baseline(content).values())


META = (
    b"#!/bin/bash\n#$ run_on: alpha\n#$ project: p\n#$ resource: gpu\n#$ n_resource: 2\n#$ walltime: 1:00:00\n"
    b"#$ container_img: img\n#$ other_opts: --x\necho hello\n"
)


@given(damaged_bytes(META))
def test_a_damaged_meta_jobscript_is_refused_with_words_or_parsed(body: bytes) -> None:
    try:
        MetaScript.parse("run.sh", body)
    except InvalidInput as error:
        assert error.problems
