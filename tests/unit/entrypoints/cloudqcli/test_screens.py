"""Tables on a terminal, as golden files, at 80, 120 and 200 columns."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from cloudq.application.client.watch_jobs import Snapshot
from cloudq.application.shared.list_agents import AgentReport
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.lease import AgentState
from cloudq.domain.jobs.summary import ActiveJob
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.entrypoints.cloudqcli import watching
from cloudq.entrypoints.cloudqcli.agent_table import AGENT_COLUMNS
from cloudq.entrypoints.cloudqcli.columns import HISTORY_COLUMNS, JOB_COLUMNS
from cloudq.entrypoints.cloudqcli.job_page import GROUPS, TITLE, JobPage
from cloudq.entrypoints.cloudqcli.output import OPTIONAL_STAT_FIELDS, STAT_FIELDS
from cloudq.entrypoints.shared.columns import TableOptions
from cloudq.entrypoints.shared.drawing import Look, drawn
from tests.builders import JOB_ID, NOON, a_finished_job, a_job, at
from tests.unit.entrypoints.cloudqcli.conftest import Cli

pytestmark = pytest.mark.usefixtures("tokyo")

WIDTHS = (80, 120, 200)
NOW = at(4000)
LONG_NAME = "train-resnet50-on-imagenet-with-a-very-long-name.sh"
WIDE_NAME = "計算を実行する長い名前のスクリプト.sh"
COMBINING_NAME = "cafe\u0301-e\u0301tude.sh"
HELD = "JobHeldUser: the job is held; to release it, run scontrol release 4711 on a login node"

JOBS = (
    ActiveJob(JOB_ID, LONG_NAME, JobState.RUN, "abci", NOON, progress="3/10, 1 failed", time_start=at(60)),
    ActiveJob("e210c27c", WIDE_NAME, JobState.READY, "my-cluster", at(1900), HELD, jobid="4711"),
    ActiveJob(
        "fc2d6f45", COMBINING_NAME, JobState.INIT, "", at(3990), invited=("abci", "kaede", "my-cluster")
    ),
)
ENTRIES = (
    HistoryEntry(JOB_ID, LONG_NAME, JobState.ERROR, "abci", at(3990), NOON, at(60), exit_code=137),
    HistoryEntry("e210c27c", WIDE_NAME, JobState.DONE, "my-cluster", at(3700), at(10), at(3500), exit_code=0),
    HistoryEntry("fc2d6f45", COMBINING_NAME, JobState.DELETED, "", at(20), at(10), labels=("lr=0.1",)),
)
AGENTS = (
    AgentReport("abci", AgentState.ALIVE, NOON, 41.0, "2.0.0", "es1", "abci", "pbs", 12, 3, NOON.isoformat()),
    AgentReport(
        "kaede", AgentState.AWAY, NOON - timedelta(days=3), 3 * 86_400.0, "2.0.0", "login.kaede.example.org",
        "slurm", "slurm", 1, 0, NOON.isoformat(), "slurm: squeue gave no answer in 60 s",
    ),
    AgentReport("計算機", AgentState.STOPPED, NOON, 7_300.0, "2.0.1", "box", "local", "local", 0, 0),
    AgentReport("old", AgentState.UNKNOWN, last_beat_s=100.0, last_error="it was written by a newer cloudq"),
)  # fmt: skip


def many_jobs(count: int = 300) -> tuple[ActiveJob, ...]:
    """Return *count* unfinished jobs of all kinds."""
    return tuple(evolve(JOBS[n % 3], job_id=f"{n:08x}", time_submit=at(10 * n)) for n in range(count))


def many_entries(count: int = 300) -> tuple[HistoryEntry, ...]:
    """Return *count* finished jobs of all kinds."""
    return tuple(evolve(ENTRIES[n % 3], job_id=f"{n:08x}", time_finish=at(3990 - n)) for n in range(count))


def on_terminal(renderable: Any, width: int, height: int = 25, **settings: Any) -> str:
    """Return what a terminal shows; no line is wider than the terminal."""
    settings = {"color_system": None, **settings}
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, _environ={}, **settings
    )
    console.print(renderable, end="")
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert settings["color_system"] or max(map(cell_len, lines)) <= width
    return "".join(f"{line}\n" for line in lines)


def at_every_width(draw: Callable[[int], Any], most_lines: int = 14) -> str:
    """Return the screens at all widths; of a long one, only its first and last lines."""
    screens = []
    for width in WIDTHS:
        lines = on_terminal(draw(width), width).splitlines()
        if len(lines) > most_lines:
            half = most_lines // 2
            lines = [*lines[:half], f"[{len(lines) - 2 * half} more lines]", *lines[-half:]]
        screens.append("\n".join([f"[{width} columns]", *lines, ""]))
    return "\n".join(screens)


def table(columns: Any, items: Any, *, full_notes: bool = False) -> Callable[[int], Any]:
    """Return a function that draws the default table of *items* for a width."""
    return lambda width: drawn(TableOptions(columns).columns, items, Look(width, NOW, full_notes))


def test_list_of_three_jobs(cli: Cli) -> None:
    cli.golden("screen_list_3.txt", at_every_width(table(JOB_COLUMNS, JOBS)))


def test_long_list_has_whole_notes(cli: Cli) -> None:
    cli.golden("screen_list_long.txt", at_every_width(table(JOB_COLUMNS, JOBS, full_notes=True)))


def test_list_of_300_jobs(cli: Cli) -> None:
    cli.golden("screen_list_300.txt", at_every_width(table(JOB_COLUMNS, many_jobs())))


def test_history_of_three_jobs(cli: Cli) -> None:
    cli.golden("screen_history_3.txt", at_every_width(table(HISTORY_COLUMNS, ENTRIES)))


def test_history_of_300_jobs(cli: Cli) -> None:
    cli.golden("screen_history_300.txt", at_every_width(table(HISTORY_COLUMNS, many_entries())))


def test_table_of_agents(cli: Cli) -> None:
    cli.golden("screen_agents.txt", at_every_width(table(AGENT_COLUMNS, AGENTS)))
    columns = TableOptions(AGENT_COLUMNS).with_notes().known
    cli.golden("screen_agents_long.txt", at_every_width(table(columns, AGENTS, full_notes=True)))


def test_table_of_300_agents(cli: Cli) -> None:
    agents = [evolve(AGENTS[n % 4], system=f"system-{n}") for n in range(300)]

    cli.golden("screen_agents_300.txt", at_every_width(table(AGENT_COLUMNS, agents)))


STAT_JOB = a_finished_job(
    exit_code=137,
    finished_at=at(3700),
    name=WIDE_NAME,
    workdir="/home/user/" + "a-long-directory/" * 8,
    submit_command="sbatch --job-name run.sh --time 1:00:00",
    time_ready=at(20),
    time_start=at(60),
    array_tid=ArrayRange.parse("1-4"),
    tasks=TaskStates.of(
        {n: TaskState(JobState.DONE, 0) for n in (1, 3, 4)} | {2: TaskState(JobState.ERROR, 137)}
    ),
    size_input=1329,
    left_out=("pipe: a fifo", "link: leads outside"),
    remarks=("the clock of the node is 3 s late",),
    labels=("sweep=7",),
    arguments=("--lr", "0.1", "a b"),
    environment=("SEED=1", "TITLE=two words"),
    outputs=("*.csv",),
)


def test_one_job_in_groups(cli: Cli) -> None:
    cli.golden("screen_stat.txt", at_every_width(lambda _: JobPage(STAT_JOB, NOW), most_lines=60))
    cli.golden("screen_stat_new.txt", at_every_width(lambda _: JobPage(a_job(), NOW), most_lines=60))


def test_page_of_a_job_has_every_field_of_stat_once() -> None:
    fields = [*TITLE, *(field for group in GROUPS.values() for field in group)]

    assert sorted(fields) == sorted([*STAT_FIELDS, *OPTIONAL_STAT_FIELDS, "note"])


def test_page_of_an_unfinished_array_has_its_progress_and_why_it_waits() -> None:
    page = JobPage(a_job(state=JobState.RUN), NOW, note="JobArrayTaskLimit", progress="3/10, 1 failed")
    lines = [line.split(maxsplit=1) for line in on_terminal(page, 80).splitlines()]

    assert ["state", "RUN 3/10, 1 failed"] in lines
    assert ["note", "JobArrayTaskLimit"] in lines


def test_page_of_an_array_with_2000_task_groups_is_short() -> None:
    states = {n: TaskState(JobState.ERROR, n % 200) for n in range(1, 2001)}
    page = on_terminal(JobPage(evolve(STAT_JOB, tasks=TaskStates.of(states)), NOW), 80)

    assert "and 180 more: see --json" in page
    assert page.count("\n") < 70


def test_page_of_an_array_with_a_long_list_of_tasks_is_short() -> None:
    tasks = ArrayRange.parse(",".join(str(n) for n in range(5, 10_000) if n % 5 < 2))
    page = on_terminal(JobPage(evolve(STAT_JOB, array_tid=tasks), NOW), 80)

    assert " ".join(page.split()).count("and more: see --json") == 1
    assert page.count("\n") < 80


class TestWatching:
    """The live table."""

    @staticmethod
    def screen(
        jobs: tuple[ActiveJob, ...] = JOBS, ended: tuple[HistoryEntry, ...] = ENTRIES[:2], **more: Any
    ) -> Callable[[int], Any]:
        snapshot = Snapshot(jobs, ended, more.pop("warnings", ()), more.pop("as_of", NOW), **more)

        def draw(width: int) -> Any:
            console = Console(width=width, height=25, _environ={})
            return watching.Screen(snapshot, TableOptions(JOB_COLUMNS), 5.0, lambda: NOW, console).draw()

        return draw

    def test_no_job(self, cli: Cli) -> None:
        cli.golden("screen_watch_0.txt", at_every_width(self.screen((), ())))

    def test_three_jobs_and_two_that_ended(self, cli: Cli) -> None:
        cli.golden("screen_watch_3.txt", at_every_width(self.screen(), 25))

    def test_300_jobs_fit_on_the_terminal(self, cli: Cli) -> None:
        screen = at_every_width(self.screen(many_jobs(), many_entries(50)), 25)

        cli.golden("screen_watch_300.txt", screen)
        assert "more lines" not in screen

    def test_store_without_an_answer_and_an_absent_agent(self, cli: Cli) -> None:
        warning = "The agent of abci has not reported for 60 min: the states shown may be outdated."
        screen = self.screen(as_of=at(3900), trouble="no answer in 20 s", warnings=(warning,))

        cli.golden("screen_watch_trouble.txt", at_every_width(screen, 25))


@pytest.mark.parametrize("width", [30, 40, 60, 79, 81])
@pytest.mark.parametrize(
    ("columns", "items"), [(JOB_COLUMNS, JOBS), (HISTORY_COLUMNS, ENTRIES), (AGENT_COLUMNS, AGENTS)]
)
def test_first_column_is_whole_on_any_terminal(width: int, columns: Any, items: Any) -> None:
    lines = on_terminal(table(columns, items)(width), width).splitlines()
    rows = [line.split()[0] for line in lines if not line.startswith("  ")]

    assert rows == [columns[0].header, *(columns[0].value(item) for item in items)]


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5), st.integers(30, 200))
def test_any_text_stays_on_its_line(texts: list[tuple[str, str]], width: int) -> None:
    jobs = [ActiveJob(JOB_ID, name, JobState.RUN, "abci", NOON, note) for name, note in texts]
    rows = drawn(TableOptions(JOB_COLUMNS).columns, jobs, Look(width, NOW))
    lines = on_terminal(rows, width).splitlines()

    assert len(lines) == rows.height
    assert all(line.isprintable() for line in lines)


@given(st.lists(st.text(), min_size=1, max_size=30), st.integers(0, 40))
def test_rows_that_fit_are_as_high_as_they_say(notes: list[str], lines: int) -> None:
    jobs = [ActiveJob(JOB_ID, LONG_NAME, JobState.RUN, "abci", NOON, note) for note in notes]
    count = drawn(TableOptions(JOB_COLUMNS).columns, jobs, Look(80, NOW)).fitting(lines)
    fitting = jobs[:count]

    assert not fitting or drawn(TableOptions(JOB_COLUMNS).columns, fitting, Look(80, NOW)).height <= lines + 1
