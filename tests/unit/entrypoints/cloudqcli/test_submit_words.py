"""``cloudqcli submit`` as people type it: scripts, arguments, commands, many jobs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import define

from cloudq.application.client.submit_job import Submitted
from cloudq.client import Client
from cloudq.domain.errors import StoreUnavailable
from cloudq.domain.jobs.job import Job
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.unit.entrypoints.cloudqcli.conftest import Cli

ALPHA = ("--submit_to", "alpha")


@pytest.fixture(autouse=True)
def _agent(cli: Cli) -> None:
    cli.agent()


def submitted(cli: Cli, *words: str | Path, typed: str | None = None) -> Job:
    """Submit one job for alpha and return its record."""
    result = cli("submit", *ALPHA, *words, typed=typed)
    assert (result.exit_code, result.stderr) == (0, "")
    return cli.job(result.stdout.partition("(")[2].partition(")")[0])


def script_of(cli: Cli, job: Job) -> str:
    return cli.world.body(f"jobs/{job.uuid}/script/{job.name}").decode()


def refused(cli: Cli, *words: str | Path, typed: str | None = None) -> str:
    """Return the message of a command that submits nothing."""
    before = cli.world.stored()
    result = cli("submit", *words, typed=typed)
    assert (result.exit_code, result.stdout) == (2, "")
    assert cli.world.stored() == before
    return result.stderr


# Scripts and arguments ---------------------------------------------------------------------------


def test_a_word_is_the_script_and_further_words_are_its_arguments(cli: Cli) -> None:
    job = submitted(cli, cli.script("job.sh"), "a", "b c")

    assert (job.name, job.arguments) == ("job.sh", ("a", "b c"))


def test_words_after_two_dashes_are_arguments_whatever_they_look_like(cli: Cli) -> None:
    job = submitted(cli, cli.script("job.sh"), "a", "--name", "mine", "--", "--name", "--", "-x")

    assert (job.name, job.arguments) == ("mine", ("a", "--name", "--", "-x"))


def test_words_after_a_named_script_are_arguments(cli: Cli) -> None:
    job = submitted(cli, "--script", cli.script("job.sh"), "a", "--", "-b")

    assert (job.name, job.arguments) == ("job.sh", ("a", "-b"))


def test_words_after_an_input_are_inputs_as_in_the_original(cli: Cli) -> None:
    data = cli.script("data.txt")
    more = cli.script("more.txt")
    job = submitted(cli, "--script", cli.script("job.sh"), "--input", data, more, "--", "a")

    assert (job.has_input, job.input_files, job.arguments) == (True, 2, ("a",))


@pytest.mark.parametrize("option", ["--input", "--output"])
def test_a_word_that_may_be_a_second_value_is_refused(cli: Cli, option: str) -> None:
    script = cli.script("job.sh")
    value = cli.script("x").relative_to("/") if option == "--output" else cli.script("x")
    message = refused(cli, *ALPHA, script, option, value, "y")

    assert f"'y' after {option} is unclear" in message
    assert submitted(cli, script, "y", f"{option}={value}", "--", "z").arguments == ("y", "z")


def test_a_command_takes_the_place_of_a_script(cli: Cli) -> None:
    job = submitted(cli, "--", "bin/train.py", "--lr", "0.1", "a b")

    assert (job.name, job.arguments) == ("train.py", ())
    assert script_of(cli, job) == "#!/bin/bash\nexec bin/train.py --lr 0.1 'a b' \"$@\"\n"


def test_a_script_may_come_from_standard_input(cli: Cli) -> None:
    job = submitted(cli, "-", "a", typed="#!/bin/sh\necho hi\n")

    assert (job.name, job.arguments, script_of(cli, job)) == ("stdin.sh", ("a",), "#!/bin/sh\necho hi\n")


def test_a_script_that_does_not_exist_is_named(cli: Cli) -> None:
    assert refused(cli, *ALPHA, "nothing.sh") == (
        "cloudqcli: nothing.sh: cannot be read: No such file or directory\n"
    )


def test_an_option_of_the_script_before_the_dashes_is_explained(cli: Cli) -> None:
    message = refused(cli, *ALPHA, cli.script(), "--lr", "0.1")

    assert "'--lr'" in message
    assert message.endswith("Arguments of a script that begin with '-' come after --.\n")


def test_a_variable_before_a_command_is_explained(cli: Cli) -> None:
    message = refused(cli, *ALPHA, "--", "LR=1", "python")

    assert message == (
        "cloudqcli: 'LR=1' is not a command: pass variables as the environment of the job (--env)\n"
    )


# Values ------------------------------------------------------------------------------------------


def test_variables_come_from_the_command_line_or_from_here(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "it's secret")
    job = submitted(cli, cli.script(), "--env", "LR=0.1", "--env", "TOKEN", "--env", "EMPTY=")

    assert job.environment == ("LR=0.1", "TOKEN=it's secret", "EMPTY=")


def test_a_variable_that_is_not_set_here_is_refused(cli: Cli) -> None:
    message = refused(cli, *ALPHA, cli.script(), "--env", "NO_SUCH")

    assert "--env NO_SUCH: NO_SUCH is not set here; write NO_SUCH=VALUE" in message


def test_labels_outputs_and_a_name_are_stored(cli: Cli) -> None:
    job = submitted(
        cli, cli.script(), "--label", "team=ai", "--label", "exp=1", "--output", "*.csv",
        "--output", "out/**", "--name", "my sweep",
    )  # fmt: skip

    assert (job.labels, job.outputs, job.name) == (("exp=1", "team=ai"), ("*.csv", "out/**"), "my sweep")


def test_stat_shows_what_was_given_after_all_other_fields(cli: Cli) -> None:
    job = submitted(
        cli, cli.script(), "a b", "--env", "X=1 2", "--label", "k=v", "--name", "n", "--output", "*.c"
    )
    lines = cli("stat", job.uuid).stdout.splitlines()

    assert lines[-5:] == [
        "script_file           run.sh",
        "labels                k=v",
        "arguments             'a b'",
        "environment           'X=1 2'",
        "outputs               '*.c'",
    ]
    assert json.loads(cli("stat", job.uuid, "--json").stdout)["arguments"] == ["a b"]


def test_all_bad_values_are_reported_at_once(cli: Cli) -> None:
    message = refused(
        cli, *ALPHA, cli.script(), "--env", "PATH=/x", "--label", "k", "--output", "/x", "--name", "a/b"
    )

    assert len(message.splitlines()) == 4


# A line per task ---------------------------------------------------------------------------------


def test_each_line_is_a_task(cli: Cli) -> None:
    params = cli.script("params", "--lr 0.1\n--lr 0.2\n")
    job = submitted(cli, cli.script(), "common", "--each-line", params)

    assert (str(job.array_tid), job.arguments) == ("1-2:1", ("common",))
    assert cli.world.body(f"jobs/{job.uuid}/arguments") == b"--lr 0.1\n--lr 0.2\n"


def test_lines_may_come_from_standard_input(cli: Cli) -> None:
    job = submitted(cli, "--each-line", "-", "--", "echo", typed="1\n2\n3\n")

    assert (str(job.array_tid), job.name) == ("1-3:1", "echo")


def test_a_bad_line_of_standard_input_is_named(cli: Cli) -> None:
    assert "standard input line 2: cannot be split" in refused(
        cli, *ALPHA, cli.script(), "--each-line", "-", typed="1\n'\n"
    )


def test_each_line_may_be_a_job(cli: Cli) -> None:
    result = cli(
        "submit", *ALPHA, "--each-line", "-", "--as-jobs", "--parsable", "--", "echo", "x", typed="1\n2\n"
    )
    jobs = [cli.job(job_id) for job_id in result.stdout.split()]

    assert result.exit_code == 0
    assert [(job.name, job.arguments, job.array_tid) for job in jobs] == [
        ("echo", ("1",), None),
        ("echo", ("2",), None),
    ]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("x.sh", "--as-jobs"), "--as-jobs requires --each-line"),
        (("-", "--each-line", "-"), "standard input can be read only once"),
        (("--scripts",), "--scripts: name at least one script"),
        (("x.sh", "--json", "--parsable"), "--json and --parsable"),
    ],
)
def test_options_that_do_not_fit_are_refused(cli: Cli, words: tuple[str, ...], problem: str) -> None:
    assert problem in refused(cli, *words)


# What is printed ---------------------------------------------------------------------------------


def test_parsable_output_is_the_id(cli: Cli) -> None:
    result = cli("submit", *ALPHA, cli.script(), "--parsable")

    assert cli.job(result.stdout.strip()).name == "run.sh"
    assert result.stdout.count("\n") == 1


def test_quiet_prints_nothing_but_errors(cli: Cli) -> None:
    quiet = cli("submit", "--submit_to", "gamma", "--force", cli.script(), "--quiet")
    failed = cli("submit", *ALPHA, "nothing.sh", "--quiet")

    assert (quiet.exit_code, quiet.output) == (0, "")
    assert (failed.exit_code, failed.stdout) == (2, "")
    assert "nothing.sh: cannot be read" in failed.stderr


# Several scripts ---------------------------------------------------------------------------------


@define
class LosesOne(CountingStore):
    """A store that does not answer for one script."""

    def put(self, key: str, body: bytes) -> str:
        if key.endswith("b.sh"):
            raise StoreUnavailable("no answer")
        return super().put(key, body)


@pytest.mark.parametrize("spelling", [("--scripts",), None])
def test_several_scripts_are_submitted_with_the_same_arguments(
    cli: Cli, spelling: tuple[str, ...] | None
) -> None:
    scripts = [cli.script(name) for name in ("a.sh", "b.sh", "c.sh")]
    words = [*spelling, *scripts] if spelling else [word for path in scripts for word in ("--script", path)]
    result = cli("submit", *ALPHA, *words, "--", "x")
    jobs = [cli.job(line.partition("(")[2][:8]) for line in result.stdout.splitlines()]

    assert (result.exit_code, result.stderr) == (0, "")
    assert [(job.name, job.arguments) for job in jobs] == [(f"{n}.sh", ("x",)) for n in "abc"]


def test_a_script_that_fails_is_named_and_the_ids_of_the_others_are_printed(cli: Cli) -> None:
    cli.world.store = LosesOne(cli.world.store)
    scripts = [cli.script(name) for name in ("a.sh", "b.sh", "c.sh")]
    result = cli("submit", *ALPHA, "--scripts", *scripts)

    assert result.exit_code == 4
    assert [line.split()[2] for line in result.stdout.splitlines()] == ["a.sh", "c.sh"]
    assert result.stderr == "cloudqcli: b.sh: The job was not submitted: no answer\n"


def test_json_of_several_jobs_is_a_list(cli: Cli) -> None:
    cli.world.store = LosesOne(cli.world.store)
    scripts = [cli.script(name) for name in ("a.sh", "b.sh")]
    result = cli("submit", *ALPHA, "--json", "--scripts", *scripts, "--", "x")
    first, second = json.loads(result.stdout)

    assert (first["state"], first["name"]) == ("INIT", "a.sh")
    assert second == {"name": "b.sh", "arguments": ["x"], "error": "The job was not submitted: no answer"}


def test_a_bad_script_keeps_the_others_from_being_submitted(cli: Cli) -> None:
    message = refused(cli, *ALPHA, "--scripts", cli.script("a.sh"), cli.script("b.sh", ""), "none.sh")

    assert message.splitlines() == [
        "cloudqcli: b.sh: the script is empty",
        "cloudqcli: none.sh: cannot be read: No such file or directory",
    ]


def test_a_warning_of_many_jobs_is_shown_once(cli: Cli) -> None:
    scripts = [cli.script(name) for name in ("a.sh", "b.sh")]
    result = cli("submit", "--submit_to", "gamma", "--force", "--scripts", *scripts)

    assert result.stderr == "No agent ever reported as gamma: the job waits until one does.\n"


def test_waiting_for_many_ends_with_the_first_bad_status(cli: Cli) -> None:
    cli.agent(Script(10, 3))
    scripts = [cli.script(name) for name in ("a.sh", "b.sh")]
    result = cli("submit", *ALPHA, "--scripts", *scripts, "--wait")

    assert result.exit_code == 3
    assert len(result.stdout.splitlines()) == 2
    assert all("ended: ERROR" in line for line in result.stderr.splitlines())


# Waiting and fetching ----------------------------------------------------------------------------


def test_fetch_waits_and_downloads_into_a_new_directory(cli: Cli) -> None:
    result = cli("submit", *ALPHA, cli.script(), "--parsable", "--fetch", cli.world.tmp / "here")
    job_id = result.stdout.strip()

    assert (result.exit_code, cli.job(job_id).state.value) == (0, "DONE")
    assert (cli.world.tmp / "here" / job_id / "run.sh").exists()


def test_fetch_with_outputs_puts_them_in_place(cli: Cli) -> None:
    """The output of a scripted job has no files, which is reported."""
    result = cli("submit", *ALPHA, cli.script(), "--fetch", cli.world.tmp / "here", "--output", "x.csv")

    assert result.exit_code == 0
    assert result.stderr.endswith("matches 'x.csv'\n")
    assert list((cli.world.tmp / "here").iterdir()) == []


def test_a_job_that_failed_keeps_its_status_when_the_download_fails(cli: Cli) -> None:
    cli.agent(Script(10, 3))
    (there := cli.world.tmp / "file").write_text("x")
    result = cli("submit", *ALPHA, cli.script(), f"--fetch={there}/x")

    assert result.exit_code == 3
    assert "ended: ERROR" in result.stderr


@pytest.mark.parametrize("with_stdin", [False, True])
def test_a_script_after_fetch_is_not_taken_as_a_directory(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, with_stdin: bool
) -> None:
    monkeypatch.setattr(Client, "stage_out", lambda *_, **__: None)
    script = "-" if with_stdin else cli.script("job.sh")
    result = cli("submit", *ALPHA, "--fetch", script, typed="echo\n")

    assert (result.exit_code, "job.sh" in result.stdout) == (0, not with_stdin)


def test_results_are_not_fetched_into_a_file(cli: Cli) -> None:
    script = cli.script("job.sh")

    assert f"--fetch={script}: it is a file, not a directory" in refused(
        cli, *ALPHA, script, f"--fetch={script}"
    )


def test_each_of_several_jobs_that_fails_is_reported_once(cli: Cli) -> None:
    cli.agent(Script(10, 3, "", "no such file\n"))
    result = cli("submit", *ALPHA, "--scripts", cli.script("a.sh"), cli.script("b.sh"), "--wait")
    ends = [line for line in result.stderr.splitlines() if "ended: ERROR" in line]

    assert (result.exit_code, len(ends)) == (3, 2)
    assert "no such file" not in result.stderr


def test_an_interrupted_wait_names_the_job(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Submitted:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "wait", interrupted)
    monkeypatch.setattr(Client, "wait_all", interrupted)
    result = cli("submit", *ALPHA, cli.script(), "--wait")

    many = cli("submit", *ALPHA, "--scripts", cli.script("a.sh"), cli.script("b.sh"), "--wait")

    assert (result.exit_code, many.exit_code) == (130, 130)
    assert "continues; to end it: cloudqcli cancel" in result.stderr
    assert "2 jobs continue; to see them: cloudqcli list" in many.stderr


# Running a job again -----------------------------------------------------------------------------


def test_a_corrected_script_is_run_with_the_old_arguments(cli: Cli) -> None:
    agent = cli.agent(Script(10, 3))
    first = submitted(cli, cli.script(), "a", "--env", "X=1")
    agent.until_final(first.uuid)
    result = cli("submit", "--rerun", first.uuid, "--script", cli.script("fixed.sh"), "--parsable")
    again = cli.job(result.stdout.strip())

    assert (again.name, again.arguments, again.environment) == ("fixed.sh", ("a",), ("X=1",))
