"""``cloudqcli submit``: messages, warnings, refusals, exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import define

from cloudq.adapters.systems import load_profile
from cloudq.domain.errors import OutcomeUnknown
from cloudq.domain.jobs.job_state import JobState
from cloudq.entrypoints.cloudqcli.waiting import exit_status_of
from tests.builders import a_job
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.unit.entrypoints.cloudqcli.conftest import Cli


@define
class LosesAnswers(CountingStore):
    """A store that writes queue entries but loses the answer."""

    def put(self, key: str, body: bytes) -> str:
        super().put(key, body)
        if key.startswith("queue/"):
            raise OutcomeUnknown("no answer came")
        return ""


def test_says_what_was_submitted_as_the_original_does(cli: Cli) -> None:
    cli.agent()
    result = cli("submit", "--script", cli.script("ljob_tf_mnist.abci.sh"), "--submit_to", "alpha")
    job_id = cli.world.client().query.active().jobs[0].job_id

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"Job ({job_id}) ljob_tf_mnist.abci.sh has been submitted.\n"


def test_takes_every_option_in_both_spellings(cli: Cli) -> None:
    cli.agent()
    first = cli.submit()
    seed = cli.job(
        cli.submit(
            "--submit_opt", "-l 'a b'", "--hold_jid", first, "--array_tid", "1-4:1", "--hold_ok_jid", first
        )
    )
    conventional = cli.job(
        cli.submit(
            "--submit-opt", "-l 'a b'", "--hold-jid", first, "--array-tid", "1-4:1", "--hold-ok-jid", first
        )
    )

    for job in (seed, conventional):
        assert (job.submit_opt, job.hold_jid, str(job.array_tid)) == ("-l 'a b'", (first,), "1-4:1")
        assert job.hold_ok_jid == (first,)


def test_takes_several_inputs_after_one_option(cli: Cli) -> None:
    """This is how a shell expands ``--input data*``."""
    cli.agent()
    paths = [cli.script(name) for name in ("one.txt", "two.txt", "three.txt")]
    job = cli.job(cli.submit("--input", paths[0], paths[1], "--input", paths[2]))

    assert job.has_input


def test_warnings_go_to_stderr(cli: Cli) -> None:
    result = cli("submit", "--script", cli.script(), "--submit_to", "alpha")

    assert result.exit_code == 0
    assert result.stderr == "No agent ever reported as alpha: the job waits until one does.\n"


def test_a_system_nobody_knows_is_refused_unless_forced(cli: Cli) -> None:
    cli.agent()
    refused = cli("submit", "--script", cli.script(), "--submit_to", "beta")
    forced = cli("submit", "--script", cli.script(), "--submit_to", "beta", "--force")

    assert (refused.exit_code, refused.stdout, forced.exit_code) == (2, "", 0)
    assert refused.stderr == (
        'cloudqcli: unknown system "beta" (known: alpha). Use --force to queue the job anyway.\n'
    )


def test_all_problems_are_named_at_once(cli: Cli) -> None:
    script = cli.script(text="#!/bin/bash\r\necho hello\r\n")
    options = ("--submit_to", "no/system", "--array_tid", "4-1", "--hold_jid", "nonsense")
    result = cli("submit", "--script", script, *options)
    lines = result.stderr.splitlines()

    assert result.exit_code == 2
    assert len(lines) == 4
    assert all(line.startswith("cloudqcli: ") for line in lines)


def test_a_script_without_directives_needs_a_system(cli: Cli) -> None:
    result = cli("submit", "--script", cli.script())

    assert result.exit_code == 2
    assert result.stderr.startswith("cloudqcli: no target system. Only a meta jobscript")
    assert result.stderr.endswith("; pass --submit_to\n")


def test_json_shows_the_job_and_the_warnings(cli: Cli) -> None:
    result = cli("submit", "--script", cli.script(), "--submit_to", "alpha", "--json")
    record = json.loads(result.stdout)

    assert (record["state"], record["submit_to"], len(record["warnings"])) == ("INIT", "alpha", 1)
    assert cli.job(record["uuid"]).name == "run.sh"


def test_an_unconfirmed_submission_is_not_called_failed(cli: Cli) -> None:
    cli.agent()
    cli.world.store = LosesAnswers(cli.world.store)
    result = cli("submit", "--script", cli.script(), "--submit_to", "alpha")
    job_id = cli.world.client().query.active().jobs[0].job_id

    assert result.exit_code == 8
    assert result.stderr == (
        f"cloudqcli: Job ({job_id}) run.sh may have been submitted: no answer came\n"
        "cloudqcli: Look for it with: cloudqcli list; once it has ended: cloudqcli history\n"
    )


def test_wait_ends_with_the_job_s_own_exit_status(cli: Cli) -> None:
    """Only the message of the submission is on stdout, and no progress is shown."""
    cli.agent(Script(30, 3))
    result = cli("submit", "--script", cli.script(), "--submit_to", "alpha", "--wait")

    assert result.exit_code == 3
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr.splitlines() == [f"Job ({result.stdout[5:13]}) ended: ERROR: exit code 3"]


def test_a_failed_wait_shows_the_last_lines_of_stderr(cli: Cli) -> None:
    cli.agent(Script(30, 3, "", "cannot open data.txt\n"))
    result = cli("submit", "--script", cli.script(), "--submit_to", "alpha", "--wait")
    job_id = result.stdout[5:13]

    assert result.stderr.splitlines() == [
        f"Job ({job_id}) ended: ERROR: exit code 3",
        "Last lines of stderr:",
        "  | cannot open data.txt",
        f"All of its stderr: cloudqcli log {job_id} --error",
    ]


def test_wait_with_json_prints_one_document_the_ended_job(cli: Cli) -> None:
    cli.agent(Script(30))
    result = cli("submit", "--script", cli.script(), "--submit_to", "alpha", "--wait", "--json")
    record = json.loads(result.stdout)

    assert (result.exit_code, record["state"], record["exit_code"]) == (0, "DONE", 0)
    assert [change["state"] for change in record["changes"]] == ["INIT", "READY", "RUN", "DONE"]


@pytest.mark.parametrize(
    ("state", "exit_code", "status"),
    [
        (JobState.DONE, 0, 0),
        (JobState.ERROR, 3, 3),
        (JobState.ERROR, 255, 255),
        (JobState.ERROR, None, 1),
        (JobState.ERROR, -9, 1),
        (JobState.ERROR, 256, 1),
        (JobState.TIMEOUT, 137, 124),
        (JobState.DELETED, None, 143),
    ],
)
def test_wait_ends_as_the_job_did(state: JobState, exit_code: int | None, status: int) -> None:
    assert exit_status_of(a_job(state=state, exit_code=exit_code)) == status


def test_the_documented_statuses_of_wait_are_these() -> None:
    page = (Path(__file__).parents[4] / "docs" / "exit-statuses.md").read_text()

    for words in ("| `DONE` | 0 |", "| `TIMEOUT` | 124 |", "| `DELETED` | 143 |"):
        assert words in page


META = "#!/bin/bash\n#$ project: p\n#$ resource: cpu\n#$ n_resource: 1\necho hi\n"


def test_a_meta_jobscript_goes_to_whatever_system_can_run_it(cli: Cli) -> None:
    local = load_profile("local", cli.world.tmp / "none")
    for name in ("alpha", "beta", "gamma"):
        cli.world.agent(cli.world.system(name, profile=None if name == "gamma" else local)).cycle()
    result = cli("submit", "--script", cli.script("mjob_tf_mnist.sh", META), "--not", "beta")
    [job] = cli.world.client().query.active().jobs

    assert (result.exit_code, result.stdout) == (
        0,
        f"Job ({job.job_id}) mjob_tf_mnist.sh has been submitted.\n",
    )
    assert result.stderr.splitlines() == [
        "Offered to alpha.",
        "Not offered to beta: excluded for this job.",
        "Not offered to gamma: its agent is an older release without support for meta jobscripts.",
    ]


def test_a_meta_jobscript_that_no_system_can_run_is_refused_with_the_reasons(cli: Cli) -> None:
    cli.agent()
    result = cli("submit", "--script", cli.script("mjob.sh", META))

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "cloudqcli: no system can run the job",
        "cloudqcli: alpha: its agent is an older release without support for meta jobscripts",
    ]


def test_a_misspelled_directive_is_named_even_if_it_is_the_only_one(cli: Cli) -> None:
    result = cli("submit", "--script", cli.script("mjob.sh", "#$ projct: x\necho\n"))

    assert "mjob.sh line 1: unknown directive projct; did you mean project?" in result.stderr


def test_an_ended_job_is_run_again(cli: Cli) -> None:
    first = cli.ended()
    result = cli("submit", "--rerun", first)

    assert result.exit_code == 0
    again = result.stdout.partition("(")[2][:8]
    assert again != first
    assert result.stdout == f"Job ({again}) {cli.job(first).name} has been submitted.\n"


def test_what_is_run_again_is_said_in_one_way(cli: Cli) -> None:
    """Either a script or a job; a rerun job keeps the options of its first run."""
    wrong = {
        ("--rerun", "3f7e7681", "--script", "x.sh", "--script", "y.sh"): "--rerun takes one --script at most",
        ("--rerun", "3f7e7681", "a"): "unexpected argument 'a': --rerun keeps the arguments of the job",
        ("--rerun", "3f7e7681", "--", "a"): "unexpected argument 'a'",
        (): "name a script, a command after --, or with --rerun a job to run again",
        ("--script", "x.sh", "--failed"): "--failed requires --rerun",
        ("--rerun", "3f7e7681", "--array_tid", "1-2", "--submit_opt", "-x"): (
            "--submit_opt, --array_tid: not with --rerun, which keeps the values of the job"
        ),
        ("--rerun", "3f7e7681", "--env", "A=1", "--label", "k=v", "--output", "x", "--name", "n"): (
            "--name, --env, --label, --output: not with --rerun"
        ),
    }
    for words, problem in wrong.items():
        result = cli("submit", *words)
        assert (result.exit_code, problem in result.stderr) == (2, True), result.stderr


def test_nothing_is_run_again_where_nothing_failed(cli: Cli) -> None:
    first = cli.ended()
    result = cli("submit", "--rerun", first, "--failed")

    assert (result.exit_code, result.stdout) == (7, "")
    assert "No part of job" in result.stderr
