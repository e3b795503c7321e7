"""Tables compared with those of the original CloudQ, byte by byte.

The files in ``seed/`` are from its documentation; times there are the local times of its user.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve

from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.summary import ActiveJob
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.entrypoints.cloudqcli.tables import history_line, list_line, stat_lines
from tests.builders import NOON, a_finished_job, a_job, at
from tests.unit.entrypoints.cloudqcli.conftest import Cli

SEED = Path(__file__).parent / "seed"
pytestmark = pytest.mark.usefixtures("tokyo")


def japan(text: str) -> datetime:
    """Return a time of 13 January 2021 in the time zone of the original's user."""
    hour, minute, second = map(int, text.split(":"))
    return datetime(2021, 1, 13, hour - 9, minute, second, tzinfo=UTC)


LOCAL, META = "ljob_tf_mnist.abci.sh", "mjob_tf_mnist.sh"
DONE = Job(
    uuid="e210c27c",
    jobid="5150599",
    name=META,
    jobscript_type="meta",
    state=JobState.DONE,
    workdir="YOUR_HOME/.cloudq/cache/e210c27c",
    run_system="abci",
    local_account="YOUR_ACCOUNT",
    local_group="YOUR_GROUP",
    submit_command="qsub -g YOUR_GROUP mjob_tf_mnist.sh",
    time_submit=japan("09:55:34"),
    time_receive=japan("10:05:47"),
    time_ready=japan("10:05:47"),
    time_start=japan("10:06:16"),
    time_stageout_start=japan("10:06:33"),
    time_stageout_finish=japan("10:06:33"),
    time_finish=japan("10:06:33"),
    size_input=516,
    size_output=1329,
    submit_opt_local="-g YOUR_GROUP",
    local_name="mjob_tf_mnist_local.sh",
    exit_code=0,
    claim=1,
)
RUNNING = Job("3f7e7681", LOCAL, JobState.RUN, run_system="abci", time_submit=japan("09:51:22"), claim=1)
READY = Job("e210c27c", META, JobState.READY, run_system="abci", time_submit=japan("09:55:34"), claim=1)
WAITING = Job("fc2d6f45", LOCAL, submit_to="abci", invited=("abci",), time_submit=japan("10:02:50"))


def test_stat_shows_every_field_of_the_original_first_and_as_it_does(cli: Cli) -> None:
    """Labels, order and columns match, and a label is shown even if its field is empty."""
    cli.put(DONE)
    shown = cli("stat", "--id", "e210c27c").stdout
    seed = (SEED / "stat.txt").read_text()

    assert shown.startswith(seed)
    assert shown.removeprefix(seed).splitlines() == [
        "exit_code             0",
        "tasks",
        "placement",
        "hold_ok_jid",
        "remarks",
        "output_files",
        "output_bytes",
        "left_out",
    ]


def test_list_is_the_original_s_table(cli: Cli) -> None:
    """Header, rule, columns, shortened names, and no system before a job is taken."""
    for job in (RUNNING, READY, WAITING):
        cli.put(job)

    assert cli("list").stdout == (SEED / "list.txt").read_text()


def test_history_is_the_original_s_table(cli: Cli) -> None:
    """The newest comes first; a job that never started shows no start time, but every job a finish time."""
    cli.put(DONE)
    failed = evolve(RUNNING, state=JobState.ERROR, time_finish=japan("10:30:00"))
    cli.put(failed)
    header, rule, error, done = (SEED / "history.txt").read_text().splitlines()
    shown = cli("history").stdout.splitlines()

    assert shown == [header, rule, f"{error}{' ' * 21}  2021/01/13 10:30:00", done]


def test_an_empty_list_and_history_are_header_and_rule(cli: Cli) -> None:
    """No message appears where a table is expected."""
    assert cli("list").stdout.splitlines() == (SEED / "list.txt").read_text().splitlines()[:2]
    assert cli("history").stdout.splitlines() == (SEED / "history.txt").read_text().splitlines()[:2]


def test_every_state_and_long_names_keep_the_columns(cli: Cli) -> None:
    """States longer than the original's use part of the indent; only names are shortened."""
    systems = ("", "abci", "my-cluster", "a-name-of-thirty-characters-it-is")
    names = ("run.sh", "a name with blanks and more.sh", "計算を実行する長い名前のスクリプト.sh")
    jobs = [
        ActiveJob(f"0000000{number}", names[number % 3], state, systems[number % 4], at(0), "")
        for number, state in enumerate(JobState)
    ]
    cli.golden("states.txt", "".join(f"{list_line(job)}\n" for job in jobs))


def test_the_long_list_says_why_jobs_wait(cli: Cli) -> None:
    """The note follows the original's columns."""
    waiting = ActiveJob("3f7e7681", "run.sh", JobState.INIT, "", NOON, "held for 0a0a0a0a")

    assert list_line(waiting, long=True) == f"{list_line(waiting)}  held for 0a0a0a0a"


def test_a_job_that_never_started_shows_when_it_ended() -> None:
    """Empty columns keep their width."""
    entry = HistoryEntry("3f7e7681", "run.sh", JobState.DELETED, "", at(60), time_submit=at(0))
    line = history_line(entry)

    assert line.endswith("2026/01/31 21:00:00                       2026/01/31 21:01:00")


def test_tasks_stand_in_ranges() -> None:
    """Tasks with the same final state and exit code are one range, however many they are."""
    ended = {task: TaskState(JobState.DONE, 0) for task in (1, 3, 4)} | {2: TaskState(JobState.ERROR, 3)}
    job = a_finished_job(exit_code=3, array_tid=ArrayRange.parse("1-4"), tasks=TaskStates.of(ended))

    assert "tasks                 1,3-4:1 DONE 0; 2 ERROR 3" in stat_lines(job)


def test_a_hostile_name_cannot_steer_the_terminal() -> None:
    """Text of other writers is escaped on one line."""
    hostile = "\x1b]0;owned\x07\nuuid  ffffffff\u202e"
    line = list_line(ActiveJob("3f7e7681", hostile, JobState.RUN, "alpha", NOON, hostile), long=True)
    shown = [field for field in stat_lines(a_job(error_msg=hostile)) if field.startswith("error_msg")]

    assert line.isprintable()
    assert shown == [r"error_msg             \x1b]0;owned\x07\nuuid  ffffffff\u202e"]
