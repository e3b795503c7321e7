"""``--columns``, ``--sort`` and the choice between a drawn and a plain table."""

from __future__ import annotations

import io
import json
from unittest.mock import Mock

import pytest
from rich.console import Console

from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.summary import ActiveJob
from cloudq.entrypoints.cloudqcli import watching
from cloudq.entrypoints.cloudqcli.columns import JOB_COLUMNS
from cloudq.entrypoints.cloudqcli.commands import active, agents, history, status
from cloudq.entrypoints.shared.columns import TableOptions
from cloudq.entrypoints.shared.drawing import Look, drawn
from tests.builders import JOB_ID, NOON, a_finished_job, a_job, at
from tests.unit.entrypoints.cloudqcli.conftest import Cli, WorkingClock

pytestmark = pytest.mark.usefixtures("tokyo")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal on stdout."""
    for module in (active, agents, history, status, watching):
        monkeypatch.setattr(module, "is_read_by_user", lambda: True)


@pytest.fixture
def three(cli: Cli) -> Cli:
    """Three finished jobs, and three unfinished ones with other ids."""
    for number, name in enumerate(("b.sh", "a.sh", "C.sh"), start=1):
        cli.put(a_finished_job(f"0000000{number}", at(60 * number), name=name, time_start=at(30)))
        cli.put(a_job(uuid=f"1000000{number}", name=name, time_submit=at(-number)))
    return cli


def ids(shown: str) -> list[str]:
    """Return the last digit of every job's id that begins a line."""
    return [line.split("\t")[0][7] for line in shown.splitlines() if line.startswith(("0000", "1000"))]


class TestInAPipe:
    def test_chosen_columns_have_tabs_between_them(self, three: Cli) -> None:
        assert three("list", "--columns", "id,state,submitted,system,invited").stdout.splitlines() == [
            "id\tstate\tsubmitted\tsystem\tinvited",
            "10000003\tINIT\t2026/01/31 20:59:57\t\talpha",
            "10000002\tINIT\t2026/01/31 20:59:58\t\talpha",
            "10000001\tINIT\t2026/01/31 20:59:59\t\talpha",
        ]

    def test_lengths_of_time_are_seconds(self, three: Cli) -> None:
        shown = three("history", "--columns", "id,waited,ran,exit", "--last", "1").stdout

        assert shown == "id\twaited\tran\texit\n00000003\t30\t150\t0\n"

    def test_agents_have_columns_too(self, cli: Cli) -> None:
        cli.agent().cycles(2)

        assert cli("agents", "--columns", "system,state,last_beat").stdout.splitlines() == [
            "system\tstate\tlast_beat",
            "alpha\talive\t10",
        ]

    def test_tab_in_a_note_adds_no_column(self) -> None:
        job = ActiveJob(JOB_ID, "run.sh", JobState.INIT, note="one\ttwo\nthree")
        lines = TableOptions(JOB_COLUMNS, JOB_COLUMNS).plain_lines([job])

        assert [line.count("\t") for line in lines] == [len(JOB_COLUMNS) - 1] * 2

    @pytest.mark.parametrize(
        ("sort", "order"),
        [("name", ["2", "1", "3"]), ("-name", ["3", "1", "2"]), ("submitted", ["3", "2", "1"]),
         ("state,-submitted", ["1", "2", "3"])],
    )  # fmt: skip
    def test_list_is_sorted(self, three: Cli, sort: str, order: list[str]) -> None:
        assert ids(three("list", "--columns", "id", "--sort", sort).stdout) == order

    def test_seed_table_is_sorted_too(self, three: Cli) -> None:
        shown = three("history", "--sort", "name").stdout.splitlines()

        assert [line.split()[0] for line in shown[2:]] == ["00000002", "00000001", "00000003"]

    def test_json_is_sorted_too(self, three: Cli) -> None:
        shown = json.loads(three("list", "--json", "--sort", "-name").stdout)

        assert [job["name"] for job in shown["jobs"]] == ["C.sh", "b.sh", "a.sh"]

    def test_jobs_without_a_value_come_last(self, cli: Cli) -> None:
        cli.put(a_finished_job("00000001", at(9), time_start=None))
        cli.put(a_finished_job("00000002", at(9), time_start=at(5)))
        cli.put(a_finished_job("00000003", at(9), time_start=at(1)))

        for sort, order in (("waited", ["3", "2", "1"]), ("-waited", ["2", "3", "1"])):
            assert ids(cli("history", "--columns", "id", "--sort", sort).stdout) == order

    def test_unknown_columns_are_all_named(self, cli: Cli) -> None:
        result = cli("list", "--columns", "id,colour,size")

        assert result.exit_code == 2
        assert "--columns: no column 'colour', 'size' (known: id, name, state," in result.stderr
        assert "--sort: no column 'x'" in cli("history", "--sort", "-x").stderr

    def test_json_and_columns_exclude_each_other(self, cli: Cli) -> None:
        result = cli("history", "--json", "--columns", "id")

        assert result.exit_code == 2
        assert "leave out --columns or --json" in result.stderr

    @pytest.mark.parametrize("words", [("watch",), ("list", "--watch")])
    def test_live_table_needs_a_terminal(self, cli: Cli, words: tuple[str, ...]) -> None:
        result = cli(*words)

        assert result.exit_code == 2
        assert "a live table needs a terminal; in a pipe, use: cloudqcli list" in result.stderr


@pytest.mark.usefixtures("terminal")
class TestOnATerminal:
    @pytest.mark.parametrize(
        ("words", "header"),
        [
            ("list", "id name state system submitted"),
            ("history", "id name state exit system waited ran submitted started finished"),
        ],
    )
    def test_jobs_are_drawn(self, three: Cli, words: str, header: str) -> None:
        shown = three(words).stdout.splitlines()

        assert shown[0].split() == header.split()
        assert len(shown) >= 4

    def test_agents_are_drawn(self, cli: Cli) -> None:
        cli.agent().cycles(2)
        header, line = cli("agents").stdout.splitlines()

        assert header.split()[:4] == ["system", "state", "since", "last"]
        assert line.split()[:2] == ["alpha", "alive"]

    def test_history_ends_with_totals(self, three: Cli) -> None:
        three.put(a_finished_job("00000004", at(4000), exit_code=3, time_start=at(100)))

        assert three("history").stdout.splitlines()[-1] == "4 jobs: 3 DONE, 1 ERROR; 1 h 9 min running"

    def test_nothing_found_is_a_line_on_stderr(self, cli: Cli) -> None:
        shown = {words: cli(words) for words in ("list", "history", "agents")}

        assert {words: result.stdout for words, result in shown.items()} == dict.fromkeys(shown, "")
        assert [result.stderr for result in shown.values()] == [
            "No unfinished jobs. Jobs that have ended: cloudqcli history\n",
            "No job has ended yet. Unfinished jobs: cloudqcli list\n",
            "No agent has ever reported. Start one on a system: cloudqd --daemon\n",
        ]

    def test_chosen_columns_are_shown_even_if_empty(self, three: Cli) -> None:
        shown = three("list", "--columns", "note,id,progress,jobid").stdout

        assert shown.splitlines()[0].split() == ["note", "id", "progress", "jobid"]

    def test_stat_leaves_out_empty_fields(self, three: Cli) -> None:
        shown = three("stat", "10000001").stdout

        assert shown.splitlines()[0] == "Job 10000001  b.sh"
        assert "hold" not in shown

    def test_json_is_never_drawn(self, three: Cli) -> None:
        assert len(json.loads(three("list", "--json").stdout)["jobs"]) == 3

    @pytest.mark.parametrize("words", [("watch",), ("list", "--watch")])
    def test_ctrl_c_ends_watching_with_status_0(
        self, three: Cli, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = iter(range(3))

        def sleep(_: WorkingClock, __: float) -> None:
            if next(looks) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(WorkingClock, "sleep", sleep)
        result = three(*words)

        assert result.exit_code == 0
        assert "3 unfinished: 3 INIT" in result.stdout
        assert "10000001" in result.stdout

    @pytest.mark.parametrize("words", [("watch",), ("list", "--watch")])
    def test_only_selected_jobs_are_watched(
        self, three: Cli, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(WorkingClock, "sleep", Mock(side_effect=KeyboardInterrupt))
        shown = three(*words, "--name", "b.*").stdout

        assert "1 unfinished: 1 INIT" in shown
        assert "10000001" in shown

    def test_interval_is_a_length_of_time(self, three: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        sleep = Mock(side_effect=KeyboardInterrupt)
        monkeypatch.setattr(WorkingClock, "sleep", sleep)
        three("watch", "--interval", "1m")

        assert sleep.call_args.args[-1] == 60

    @pytest.mark.parametrize("text", ["0", "soon"])
    def test_interval_must_be_one_second_or_more(self, three: Cli, text: str) -> None:
        result = three("watch", "--interval", text)

        assert result.exit_code == 2
        assert repr(text) in result.stderr

    def test_watch_and_json_exclude_each_other(self, cli: Cli) -> None:
        assert cli("list", "--watch", "--json").exit_code == 2


def colours(**environ: str) -> str:
    """Return the table of a hostile job as a terminal with these variables gets it."""
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, _environ={"TERM": "xterm-256color", **environ})
    job = ActiveJob(JOB_ID, "\x1b[31mrun.sh", JobState.RUN, "alpha", NOON, "held\x1b]0;owned\x07")
    console.print(drawn(TableOptions(JOB_COLUMNS).columns, [job], Look(80, NOON)), end="")
    return out.getvalue()


def test_state_has_a_colour() -> None:
    assert "\x1b[32mRUN" in colours()


def test_no_color_is_respected() -> None:
    shown = colours(NO_COLOR="1")

    assert "\x1b[32m" not in shown
    assert "RUN" in shown


def test_hostile_name_cannot_steer_a_drawn_table() -> None:
    shown = colours(NO_COLOR="1")

    assert r"\x1b[31mrun.sh" in shown
    assert r"held\x1b]0;owned\x07" in shown
    assert "\x07" not in shown
