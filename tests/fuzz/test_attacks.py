"""Test named attacks on a whole agent and a whole client: the attacker does not reach the goal."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner

from cloudq.adapters.codec import encode_claim, encode_lease
from cloudq.adapters.workspace.pack import pack_changed
from cloudq.domain.jobs.job_shell import record_name
from cloudq.entrypoints.cloudqcli import main
from cloudq.entrypoints.cloudqcli.session import Session
from cloudq.entrypoints.shared.logging import configure_logging
from cloudq.entrypoints.shared.terminal import copy_to_stdout, local_time
from tests.builders import a_claim, a_lease
from tests.fuzz import zips
from tests.fuzz.hostile_world import SECRET, HostileWorld
from tests.parts.scripted_scheduler import Script

STEERING = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp\u2028\r\nroot#\x00\x08"
"""Text that clears the screen, sets the window title, reverses text and starts a new line."""


@pytest.fixture
def hostile(tmp_path: Path) -> HostileWorld:
    return HostileWorld(tmp_path)


def rewrite(hostile: HostileWorld, job_id: str, **fields: Any) -> None:
    key = f"jobs/{job_id}/manifest.json"
    hostile.put(key, json.dumps(json.loads(hostile.world.body(key)) | fields).encode())


def long_running(hostile: HostileWorld) -> None:
    hostile.system.scheduler._behaviour = lambda *_: Script(duration_s=500, outputs={"mine": b"1"})


def run(hostile: HostileWorld, *words: str) -> str:
    """Return the output of a command, from both streams."""
    session = Session(connect=lambda _: hostile.client())
    return CliRunner().invoke(main, list(words), obj=session).output


# Names that lead elsewhere ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    ["name", "script_file", "local_name", "uuid", "run_system", "submit_to", "history_key", "jobid"],
)
@pytest.mark.parametrize("value", ["../../evil", "/etc/passwd", "..", "a/../../evil", "-rf /", STEERING])
def test_a_name_that_leads_elsewhere_is_nobodys_path_key_or_word(
    hostile: HostileWorld, field: str, value: str
) -> None:
    victim, honest = hostile.submit(), hostile.submit()
    rewrite(hostile, victim, **{field: value})
    hostile.until_done(honest)
    said = hostile.ask(hostile.tmp / "into", victim)

    assert said
    assert [start.tag.job_id for start in hostile.system.scheduler.starts] == [honest]
    assert not any(".." in key or "passwd" in key for key in hostile.store.objects)
    hostile.check()


@pytest.mark.parametrize(
    "fields",
    [
        {"arguments": ["a\0b"]},
        {"arguments": "a b"},
        {"arguments": ["x"] * 20_000},
        {"environment": ["PATH=/evil"]},
        {"environment": ["BASH_ENV=/evil"]},
        {"environment": ["cq_script=/evil"]},
        {"environment": ["x; touch evil=1"]},
        {"environment": ["LD_PRELOAD=/evil"]},
        {"outputs": ["/etc/passwd"]},
        {"outputs": ["../.."]},
        {"labels": [STEERING + "=x"]},
    ],
)
def test_what_no_client_would_pass_to_a_script_starts_nothing(
    hostile: HostileWorld, fields: dict[str, object]
) -> None:
    victim, honest = hostile.submit(), hostile.submit()
    rewrite(hostile, victim, **fields)
    hostile.until_done(honest)

    assert [start.tag.job_id for start in hostile.system.scheduler.starts] == [honest]
    assert "is not what cloudq writes there" in run(hostile, "stat", victim)
    hostile.check()


def test_another_s_work_directory_and_local_job_in_a_record_are_not_believed(hostile: HostileWorld) -> None:
    """Neither is canceled, packed or removed: both are computed, or confirmed with the scheduler."""
    long_running(hostile)
    victim = hostile.submit()
    hostile.cycle(3)
    owned = hostile.world.job(victim)
    thief = hostile.submit()
    for directory in (owned.workdir, "/etc", str(hostile.tmp / "etc")):
        rewrite(
            hostile, thief, state="RUN", claim=1, run_system="alpha", home=owned.home, workdir=directory,
            jobid=owned.jobid, time_ready="2026-01-31T12:00:00.000Z",
        )  # fmt: skip
        hostile.put(f"jobs/{thief}/claims/1.json", encode_claim(a_claim(home=owned.home)))
        hostile.put(f"queue/alpha/{thief}.1.cancel", b"")
        hostile.cycle(20)

    assert hostile.system.scheduler.canceled == []
    assert hostile.world.job(victim).state.value == "RUN"
    hostile.until_done(victim)
    assert f"jobs/{thief}/1/output.zip" not in hostile.store.objects
    hostile.check()


def test_a_request_for_a_claim_that_is_not_there_ends_nobodys_job(hostile: HostileWorld) -> None:
    long_running(hostile)
    victim = hostile.submit()
    hostile.cycle(3)
    for request in (f"{victim}.7.cancel", f"{victim}.1.cancel.3", f"{victim}.7.follow", "ffffffff.1.cancel"):
        hostile.put(f"queue/alpha/{request}", b"")
    hostile.cycle(5)

    assert hostile.system.scheduler.canceled == []
    hostile.until_done(victim)
    hostile.check()


def test_a_history_key_in_a_record_puts_nothing_but_that_jobs_entry(hostile: HostileWorld) -> None:
    victim, other = hostile.submit(), hostile.submit()
    hostile.until_done(victim, other)
    for key in ("jobs/x", "systems/alpha/lease.json", hostile.world.job(other).history_key):
        rewrite(hostile, victim, history_key=key)
        hostile.put(f"queue/alpha/{victim}.1", b"")
        hostile.cycle(4)
        hostile.ask(hostile.tmp / "into", victim)

    assert "jobs/x" not in hostile.store.objects
    assert hostile.store.objects["systems/alpha/lease.json"][0]
    hostile.check()


# Claims and leases -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "n", ["0", "01", "-1", "1000000", "999999999999999999999", "٣", "1e3", "2.json/../3"]
)
def test_a_claim_with_an_impossible_number_is_no_claim(hostile: HostileWorld, n: str) -> None:
    job_id = hostile.submit()
    hostile.put(f"jobs/{job_id}/claims/{n}.json", encode_claim(a_claim(1, system="beta")))
    hostile.until_done(job_id)
    hostile.check()


def test_a_claim_after_a_gap_stops_the_job_and_nobody_else(hostile: HostileWorld) -> None:
    """An attacker who can write claims can take a job back: it ends here, and is not run a second time."""
    long_running(hostile)
    victim, honest = hostile.submit(), hostile.submit()
    hostile.cycle(3)
    hostile.put(f"jobs/{victim}/claims/999999.json", encode_claim(a_claim(999_999, system="beta")))
    hostile.put(f"queue/alpha/{victim}.1.cancel", b"")
    hostile.cycle(10)
    hostile.until_done(honest)

    assert len([start for start in hostile.system.scheduler.starts if start.tag.job_id == victim]) == 1
    hostile.check()


@pytest.mark.parametrize("epoch", [10**17, 10**18 - 2])
def test_a_lease_from_the_future_is_waited_for_and_succeeded(hostile: HostileWorld, epoch: int) -> None:
    job_id = hostile.submit()
    stranger = encode_lease(a_lease(epoch, nonce="never beats again"))
    hostile.put("systems/alpha/lease.json", stranger)
    hostile.until_done(job_id)

    assert hostile.agent.parts.lease.epoch > epoch
    hostile.check()


def test_a_lease_of_the_last_epoch_stops_the_agent_until_it_is_removed_and_it_says_so(
    hostile: HostileWorld,
) -> None:
    """An attacker who can write leases can stop an agent; the warning names the key."""
    job_id = hostile.submit()
    hostile.put("systems/alpha/lease.json", encode_lease(a_lease(10**18 - 1)))
    hostile.cycle(100)
    assert not hostile.world.job(job_id).is_final
    hostile.store.delete(["systems/alpha/lease.json"])
    hostile.until_done(job_id)
    hostile.check()


# Archives through the agent and the client -----------------------------------------------------------


ARCHIVES = {
    "zip slip": zips.an_archive(("../evil", b"x")),
    "an absolute path": zips.an_archive(("/tmp/evil", b"x")),
    "a link": zips.an_archive(("evil", b"/etc"), mode=stat.S_IFLNK | 0o777),
    "a device": zips.an_archive(("evil", b""), mode=stat.S_IFBLK | 0o666),
    "overlapping entries": zips.overlapping(2000, 1 << 20),
    "half a million entries": zips.with_many_entries(500_000),
    "rubbish": b"PK\3\4",
}  # fmt: skip


@pytest.mark.parametrize("what", ARCHIVES)
def test_an_input_with_it_ends_the_job_with_words_and_the_output_with_it_is_refused(
    hostile: HostileWorld, what: str
) -> None:
    (hostile.tmp / "inside/in.zip").write_bytes(zips.an_archive(("a", b"x")))
    hostile._before = hostile._outside()
    victim, honest = hostile.submit(input_archive=hostile.tmp / "inside/in.zip"), hostile.submit()
    hostile.put(f"jobs/{victim}/input.zip", ARCHIVES[what])
    hostile.until_done(honest)
    hostile.cycle(5)
    job = hostile.world.job(victim)

    assert (job.state.value, [start.tag.job_id for start in hostile.system.scheduler.starts]) == (
        "ERROR",
        [honest],
    )
    assert "archive" in job.error_msg
    hostile.put(f"jobs/{honest}/1/output.zip", ARCHIVES[what])
    assert hostile.ask(hostile.tmp / "into", honest)
    brought = {path.name for path in (hostile.tmp / "into" / honest).rglob("*")}
    assert "run.sh" in brought
    assert "evil" not in brought
    hostile.check()


# A job that changes its own files --------------------------------------------------------------------


def swapped(directory: Path) -> Iterator[None]:
    """Replace a directory with a link before it is entered."""
    (directory / "sub").mkdir()
    (directory / "sub/passwd").write_text("harmless")
    yield
    (directory / "sub").rename(directory / "gone")
    (directory / "sub").symlink_to(directory.parent / "etc")


def test_a_directory_that_a_job_swaps_for_a_link_while_it_is_packed_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is replaced after the walk has listed it and before a file in it is opened."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_bytes(SECRET)
    work = tmp_path / "work"
    work.mkdir()
    swap = swapped(work)
    next(swap)
    real_open, opened = os.open, []

    def open_after_swap(path: Any, flags: int, *args: Any, **told: Any) -> int:
        if path == "passwd" and not opened:
            opened.append(path)
            next(swap, None)
        return real_open(path, flags, *args, **told)

    monkeypatch.setattr(os, "open", open_after_swap)
    packed = tmp_path / "archive.zip"
    pack_changed(work, {}, lambda _number, pieces, _expected: packed.write_bytes(b"".join(pieces)))

    assert opened
    assert SECRET not in packed.read_bytes()
    assert b"harmless" in b"".join(_contents(packed))


def _contents(archive: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            yield opened.read(name)


def test_links_and_pipes_that_a_job_leaves_are_named_and_not_followed(hostile: HostileWorld) -> None:
    long_running(hostile)
    job_id = hostile.submit()
    hostile.cycle(3)
    work = hostile.system.home / "cache" / job_id
    (work / "link").symlink_to(hostile.tmp / "etc/passwd")
    (work / "folder").symlink_to(hostile.tmp / "etc")
    os.mkfifo(work / "pipe")
    hostile.until_done(job_id)

    assert SECRET not in b"".join(body for body, _ in hostile.store.objects.values())
    assert [each.partition(" ")[0] for each in hostile.world.job(job_id).left_out] == [
        "folder",
        "link",
        "pipe",
    ]
    hostile.check()


def test_a_pipe_where_a_log_should_be_holds_nobody_up(hostile: HostileWorld) -> None:
    long_running(hostile)
    job_id = hostile.submit()
    hostile.cycle(3)
    control = hostile.system.home / f"cache/.cloudq/{job_id}.1"
    for stream in ("stdout", "stderr"):
        (control / record_name(stream, None)).unlink(missing_ok=True)
        os.mkfifo(control / record_name(stream, None))
    hostile.put(f"queue/alpha/{job_id}.1.follow", b"")
    hostile.cycle(20)
    hostile.until_done(job_id)
    hostile.check()


# Text on its way to a terminal -----------------------------------------------------------------------


def is_tame(text: str) -> bool:
    return all(char.isprintable() or char in "\n\t" for char in text)


@pytest.mark.parametrize(
    "field", ["error_msg", "submit_opt", "workdir", "local_account", "submit_command", "client"]
)
def test_no_text_of_a_record_steers_a_terminal(hostile: HostileWorld, field: str) -> None:
    job_id = hostile.submit()
    hostile.until_done(job_id)
    rewrite(hostile, job_id, **{field: STEERING})

    for words in (
        ("stat", "--id", job_id),
        ("stat", "--id", job_id, "--json"),
        ("list", "--long"),
        ("history",),
    ):
        said = run(hostile, *words)
        assert is_tame(said), words
        assert "\nroot#" not in said


def test_no_note_of_a_summary_and_no_key_steers_a_terminal(hostile: HostileWorld) -> None:
    job_id = hostile.submit(hold_jid=(hostile.submit(),))
    hostile.cycle(2)
    key = max(key for key in hostile.store.objects if key.startswith("systems/alpha/active/"))
    summary = json.loads(hostile.world.body(key))
    for job in summary["jobs"]:
        job["note"] = STEERING
    hostile.store.put(key, json.dumps(summary).encode())
    hostile.store.put(f"history/998000000000000~{job_id}~DONE~alpha~-~{STEERING}", b"")
    hostile.store.put(f"queue/{STEERING}/{job_id}.1", b"")

    for words in (
        ("list", "--long"),
        ("list", "--json"),
        ("history",),
        ("stat", "--id", STEERING),
        ("agents",),
    ):
        assert is_tame(run(hostile, *words)), words


def test_an_error_about_a_record_steers_neither_terminal_nor_log_nor_last_error(
    hostile: HostileWorld,
) -> None:
    job_id = hostile.submit()
    rewrite(hostile, job_id, name=STEERING, array_tid=STEERING)
    lines = io.StringIO()
    configure_logging("INFO", stream=lines, environ={"NO_COLOR": "1"})
    try:
        hostile.cycle(3)
        for level, event, about in hostile.world.log.told:
            getattr(structlog.get_logger(), level)(event, **about)
    finally:
        configure_logging("CRITICAL", stream=io.StringIO(), environ={})

    assert job_id in lines.getvalue()
    assert is_tame(lines.getvalue())
    assert "\nroot#" not in lines.getvalue()
    assert is_tame(run(hostile, "stat", "--id", job_id))
    assert is_tame(run(hostile, "explain", "--id", job_id))
    assert is_tame(hostile.agent.parts.lease.last_error)


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("kind", "is_terminal"), [(Terminal, True), (io.TextIOWrapper, False)])
def test_a_log_reaches_a_pipe_byte_for_byte_and_a_terminal_tamed(
    kind: Callable[[io.BytesIO], io.TextIOWrapper], is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal gets colors, tabs and line ends, because logs need them. A pipe gets the job's bytes."""
    log = STEERING.encode() + b"\xff\xfe\x1b[31mred\x1b[0m\tok\n"
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", kind(shown))
    copy_to_stdout(iter([log[:7], log[7:9], log[9:]]))
    written = shown.getvalue()

    if is_terminal:
        text = written.decode().replace("\x1b[31m", "").replace("\x1b[0m", "")
        assert all(char.isprintable() or char in "\n\t\r" for char in text)
        assert "red" in text
    else:
        assert written == log


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "UTC"])
def test_a_time_at_either_end_of_the_calendar_is_shown_everywhere(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        shown = [
            local_time(datetime(1, 1, 1, tzinfo=UTC)),
            local_time(datetime(9999, 12, 31, 23, 59, tzinfo=UTC)),
        ]
    time.tzset()

    assert all(shown)


# Options and ranges ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    ["-x\x00y", "$(touch evil); `id`", "'unclosed", "--wrap=evil\n#SBATCH --x", "x" * 190_000, STEERING],
)
def test_options_in_a_record_are_words_for_the_scheduler_or_refused(
    hostile: HostileWorld, options: str
) -> None:
    """tests/integration/test_metacharacters.py covers the treatment of words by each scheduler."""
    victim, honest = hostile.submit(), hostile.submit()
    rewrite(hostile, victim, submit_opt=options)
    hostile.until_done(honest)
    hostile.cycle(10)
    hostile.check()


@pytest.mark.parametrize(
    "array", ["1-999999999", "0", "1-75001", "5-1", "1-4:0", "1,1", "٣", "1-4%0", "-5", "1-1e5"]
)
def test_a_range_that_no_array_has_is_refused_before_anything_is_made_of_it(
    hostile: HostileWorld, array: str
) -> None:
    victim, honest = hostile.submit(), hostile.submit()
    rewrite(hostile, victim, array_tid=array)
    hostile.until_done(honest)
    hostile.cycle(3)
    hostile.check()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0" * 100,
        b"#!/bin/bash\n#LOCAL -n \x00\n",
        b"#!\x1b[2J\n",
        b"#!" + b"/x" * 4000,
        b"\xff\xfe\n" * 99,
    ],
)
def test_a_script_that_anybody_rewrote_runs_or_ends_with_words(hostile: HostileWorld, body: bytes) -> None:
    victim, honest = hostile.submit(), hostile.submit()
    hostile.put(f"jobs/{victim}/script/run.sh", body)
    hostile.until_done(honest)
    hostile.cycle(5)

    assert hostile.world.job(victim).is_final
    hostile.check()
