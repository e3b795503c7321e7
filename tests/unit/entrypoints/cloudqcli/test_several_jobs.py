"""Several ids, beginnings of ids, ``last`` and conditions, for every command that takes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudq.domain.jobs.job_state import JobState
from cloudq.entrypoints.cloudqcli import holding
from cloudq.entrypoints.cloudqcli.commands import cancel
from tests.builders import a_finished_job, a_job, at
from tests.parts.dict_memory import DictMemory
from tests.parts.scripted_scheduler import Script
from tests.unit.entrypoints.cloudqcli.conftest import Cli


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that a person sits at a terminal."""
    monkeypatch.setattr(holding, "can_ask_user", lambda: True)
    monkeypatch.setattr(cancel, "is_read_by_user", lambda: True)


@pytest.fixture
def finished(cli: Cli) -> list[str]:
    """Three finished jobs, the second of which failed; the first and the second belong to a sweep."""
    jobs = [
        a_finished_job("00000001", at(1), labels=("sweep=7",)),
        a_finished_job("00000002", at(2), exit_code=3, error_msg="exit code 3", labels=("sweep=7",)),
        a_finished_job("00000003", at(3), name="train.sh"),
    ]
    return [cli.put(job).uuid for job in jobs]


# Ids ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids", [("--id", "00000001,00000002"), ("--id", "00000001", "00000002"), ("00000001", "2")]
)
def test_stat_shows_several_jobs(cli: Cli, ids: tuple[str, ...]) -> None:
    for job_id in ("00000001", "00000002", "20000000"):
        cli.put(a_job(uuid=job_id))
    blocks = cli("stat", *ids).stdout.split("\n\n")

    assert [block.splitlines()[0].split() for block in blocks] == [
        ["uuid", "00000001"],
        ["uuid", "20000000" if "2" in ids else "00000002"],
    ]


def test_json_of_several_jobs_is_a_list(cli: Cli, finished: list[str]) -> None:
    assert [job["uuid"] for job in json.loads(cli("stat", "00000001", "00000003", "--json").stdout)] == [
        "00000001",
        "00000003",
    ]
    assert json.loads(cli("stat", "00000001", "--json").stdout)["uuid"] == "00000001"


def test_an_ambiguous_id_names_the_candidates_and_does_nothing(cli: Cli) -> None:
    for job_id in ("3f000000", "3f7e7681"):
        cli.put(a_job(uuid=job_id))
    result = cli("cancel", "3f")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "cloudqcli: '3f' is the beginning of several job ids: 3f000000, 3f7e7681\n"


def test_messages_have_the_whole_id(cli: Cli) -> None:
    job_id = cli.submit()

    assert cli("cancel", job_id[:7]).stdout == f"Job ({job_id}) is canceled.\n"


def test_last_is_the_job_submitted_here(cli: Cli) -> None:
    cli.world.memory = DictMemory()
    first, second = cli.submit(), cli.submit()

    assert cli("stat", "last").stdout.splitlines()[0].split() == ["uuid", second]
    held = cli.submit("--hold_jid", f"last,{first}")
    assert cli.job(held).hold_jid == (second, first)


def test_a_job_is_run_again_by_the_beginning_of_its_id(cli: Cli) -> None:
    job_id = cli.ended()
    result = cli("submit", "--rerun", job_id[:6])

    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("command", ["stat", "cancel", "delete", "stageout", "log", "requeue", "wait"])
def test_one_bad_id_does_not_keep_the_others_from_being_handled(
    cli: Cli, tmp_path: Path, command: str
) -> None:
    job_id = cli.submit() if command in {"cancel", "requeue"} else cli.ended()
    options = ["--into", tmp_path / "out"] if command == "stageout" else []
    result = cli(command, "xyz", "12345678", job_id, *options)

    assert result.exit_code == 2
    first, second, *_ = result.stderr.splitlines()
    assert first.startswith("cloudqcli: 'xyz' is not a job id")
    assert second == "cloudqcli: Job (12345678) does not exist."
    if command != "wait":
        assert job_id in result.stdout or command == "log"


def test_a_store_that_does_not_answer_ends_the_command_at_once(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudq.domain.errors import StoreUnavailable

    def gives_no_answer(*_: object, **__: object) -> None:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(cli.world.store, "get", gives_no_answer)
    result = cli("stat", "00000001", "00000002")

    assert (result.exit_code, result.stderr) == (4, "cloudqcli: no answer\n")


# Conditions --------------------------------------------------------------------------------------


def test_history_shows_what_is_selected(cli: Cli, finished: list[str]) -> None:
    def shown(*options: str) -> list[str]:
        return [line.split()[0] for line in cli("history", *options).stdout.splitlines()[2:]]

    assert shown("--label", "sweep=7") == ["00000002", "00000001"]
    assert shown("--state", "error") == ["00000002"]
    assert shown("--name", "train*", "--system", "alpha") == ["00000003"]
    assert shown("--label", "sweep=7", "--last", "1") == ["00000002"]
    assert shown("--since", "2100-01-01") == []


def test_list_shows_what_is_selected(cli: Cli) -> None:
    cli.put(a_job(uuid="00000001", labels=("sweep=7",)))
    cli.put(a_job(uuid="00000002"))

    assert [line.split()[0] for line in cli("list", "--label", "sweep=7").stdout.splitlines()[2:]] == [
        "00000001"
    ]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("list --state DONE", "--state: no job that has not ended is DONE"),
        ("history --state RUN", "--state: no job that has ended is RUN"),
        ("cancel --state ERROR", "--state: no job that has not ended is ERROR"),
        ("delete --state READY", "--state: no job that has ended is READY"),
    ],
)
def test_a_state_that_no_such_job_has_is_refused(cli: Cli, command: str, message: str) -> None:
    result = cli(*command.split())

    assert result.exit_code == 2
    assert message in result.stderr


def test_all_mistakes_in_conditions_are_reported_at_once(cli: Cli) -> None:
    result = cli("list", "--label", "x", "--state", "BUSY", "--since", "soon")

    assert result.exit_code == 2
    assert [line.split("cloudqcli: ")[1].split()[0] for line in result.stderr.splitlines()] == [
        "label",
        "'BUSY'",
        "'soon'",
    ]


@pytest.mark.parametrize("option", ["--name", "--system", "--since", "--label", "--state"])
def test_an_empty_condition_never_selects_every_job(cli: Cli, option: str) -> None:
    job_id = cli.submit()

    assert cli("cancel", "--state", "INIT", option, "").exit_code == 2
    assert not cli.job(job_id).is_final


def test_ids_and_conditions_exclude_each_other(cli: Cli) -> None:
    assert "not both" in cli("wait", "00000001", "--label", "a=1").stderr


@pytest.mark.parametrize("command", ["wait", "cancel", "delete", "stageout", "log"])
def test_nothing_selected_is_a_problem(cli: Cli, command: str) -> None:
    result = cli(command, "--label", "sweep=8")

    assert result.exit_code == 5
    assert result.stderr.endswith("is selected.\n")


def test_selected_jobs_are_staged_out(cli: Cli, tmp_path: Path) -> None:
    cli.ended()
    result = cli("stageout", "--state", "DONE", "--into", tmp_path / "out")

    assert result.exit_code == 0
    assert [Path(line).parent for line in result.stdout.splitlines()] == [tmp_path / "out"]


def test_logs_of_several_jobs_have_headers(cli: Cli) -> None:
    first, second = cli.ended(script=Script(5, 0, "one\n")), cli.ended(script=Script(5, 0, "one\n"))

    assert cli("log", first, second).stdout == f"==> {first} <==\none\n\n==> {second} <==\none\n"
    assert cli("log", first).stdout == "one\n"
    assert "one job at a time" in cli("log", first, second, "--follow").stderr


# Questions ---------------------------------------------------------------------------------------


def test_deleting_everything_asks_a_person_with_the_number(
    cli: Cli, finished: list[str], person: None
) -> None:
    result = cli("delete", "--all", typed="n\n")

    assert result.exit_code == 1
    assert result.stderr.startswith("Delete 3 jobs with all files? [y/N]: ")
    assert result.stderr.endswith("Nothing was changed.\n")
    assert len(cli("history").stdout.splitlines()) == 5


@pytest.mark.parametrize(("options", "typed"), [((), "y\n"), (("--yes",), None), (("-y",), None)])
def test_everything_is_deleted_after_a_yes(
    cli: Cli, finished: list[str], person: None, options: tuple[str, ...], typed: str | None
) -> None:
    result = cli("delete", "--all", *options, typed=typed)

    assert result.exit_code == 0
    assert sorted(line for line in result.stdout.splitlines() if line.startswith("Job")) == [
        f"Job ({job_id}) is deleted." for job_id in finished
    ]


def test_in_a_pipe_nobody_is_asked(cli: Cli, finished: list[str]) -> None:
    result = cli("delete", "--all")

    assert (result.exit_code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 3


def test_a_single_job_is_deleted_without_a_question(cli: Cli, finished: list[str], person: None) -> None:
    assert cli("delete", "00000001").stdout == "Job (00000001) is deleted.\n"


@pytest.mark.parametrize(
    ("command", "question"),
    [
        ("delete 00000001 00000002", "Delete 2 jobs with all files?"),
        ("delete --label sweep=7", "Delete 2 jobs with all files?"),
        ("delete 00000001 --force", "Delete 1 job with all files?"),
        ("cancel 0000000a 0000000b", "Cancel 2 jobs?"),
        ("cancel --state INIT", "Cancel 2 jobs?"),
        ("requeue 0000000a 0000000b", "Requeue 2 jobs?"),
    ],
)
def test_a_bulk_action_asks_a_person(
    cli: Cli, finished: list[str], person: None, command: str, question: str
) -> None:
    for job_id in ("0000000a", "0000000b"):
        cli.put(a_job(uuid=job_id))
    before = cli.world.stored()
    result = cli(*command.split(), typed="n\n")

    assert result.exit_code == 1
    assert question in result.stderr
    assert cli.world.stored() == before


def test_selected_jobs_are_deleted_after_a_yes_and_no_others(
    cli: Cli, finished: list[str], person: None
) -> None:
    assert cli("delete", "--label", "sweep=7", "--yes").exit_code == 0
    assert [line.split()[0] for line in cli("history").stdout.splitlines()[2:]] == ["00000003"]


def test_cancel_on_a_terminal_says_what_has_happened(cli: Cli, person: None) -> None:
    agent = cli.agent(Script(6000))
    job_id = cli.submit()
    agent.cycles(3)
    requested = cli("cancel", job_id)
    waited = cli("cancel", job_id, "--wait")

    assert (
        requested.stdout == f"Job ({job_id}): cancellation requested; --wait waits until it has happened.\n"
    )
    assert (requested.stderr, requested.exit_code) == ("", 0)
    assert waited.stdout == f"Job ({job_id}) is canceled.\n"


def test_several_jobs_are_canceled_and_awaited(cli: Cli) -> None:
    agent = cli.agent(Script(6000))
    running = [cli.submit(), cli.submit()]
    agent.cycles(3)
    result = cli("cancel", *running, "--wait")

    assert result.stdout.splitlines() == [f"Job ({job_id}) is canceled." for job_id in running]
    assert {cli.job(job_id).state for job_id in running} == {JobState.DELETED}


def test_yes_answers_the_question_about_the_holder(cli: Cli) -> None:
    agent = cli.agent(Script(10**6))
    job_id = cli.submit()
    agent.cycles(3)
    result = cli("cancel", job_id, "--force", "--yes")

    assert result.exit_code == 0
    assert "is held by alpha" in result.stderr
    assert cli.job(job_id).state is JobState.DELETED


def test_a_claim_is_about_one_job(cli: Cli) -> None:
    assert "about one job" in cli("cancel", "00000001", "00000002", "--force", "--claim", "1").stderr
    assert "about one job" in cli("requeue", "00000001", "00000002", "--claim", "1").stderr
