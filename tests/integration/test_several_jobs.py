"""Several jobs at once, on a real terminal, in a real shell, with a real agent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cloudq.domain.jobs.job_state import JobState
from tests.parts.commands import Home
from tests.parts.site import Site, wait_until
from tests.parts.slurm_site import BASH, submit
from tests.parts.terminal import Shown, on_terminal

pytestmark = pytest.mark.timeout(300)


def person(home: Home, *args: str, typed: str = "") -> Shown:
    """Run ``cloudqcli`` on a terminal."""
    return on_terminal(home.environ, "-m", "cloudq.entrypoints.cloudqcli", *args, typed=typed)


@pytest.mark.usefixtures("running_agent")
def test_jobs_are_awaited_together_and_the_first_failure_counts(home: Home) -> None:
    done, failed = home.submit("sleep 1"), home.submit("exit 3")
    both = home.cloudqcli("wait", done, failed)
    last = home.cloudqcli("wait", "last", "--json")

    assert (both.returncode, both.stdout) == (3, "")
    assert both.stderr.startswith(f"Job ({failed}) ended: ERROR")
    assert last.returncode == 3
    assert f'"uuid": "{failed}"' in last.stdout


@pytest.mark.usefixtures("running_agent")
def test_a_person_who_waits_sees_one_line_that_goes_away(home: Home) -> None:
    ids = [home.submit("sleep 2"), home.submit("sleep 2")]
    shown = person(home, "wait", *ids)

    assert shown.status == 0
    assert "0 of 2 jobs have ended, 0 failed" in shown.text
    assert "2 of 2 jobs have ended, 0 failed" in shown.text
    assert "\n" not in shown.text
    assert shown.text.endswith(" \r")


@pytest.mark.usefixtures("running_agent")
def test_a_person_who_deletes_everything_is_asked_first(home: Home) -> None:
    ids = [home.submit("true"), home.submit("true")]
    home.cloudqcli("wait", *ids)
    while home.cloudqcli("list").stdout.count("\n") > 2:
        pass  # the agent puts the jobs away
    refused = person(home, "delete", "--all", typed="n\n")
    kept = home.cloudqcli("history").stdout
    agreed = person(home, "delete", "--all", typed="y\n")

    assert refused.status == 1
    assert "Delete 2 jobs with all files? [y/N]:" in refused.text
    assert "Nothing was changed." in refused.text
    assert all(job_id in kept for job_id in ids)
    assert agreed.status == 0
    assert all(f"Job ({job_id}) is deleted." in agreed.text for job_id in ids)


@pytest.mark.usefixtures("running_agent")
def test_a_person_reads_that_a_cancellation_is_requested(home: Home) -> None:
    """In a pipe, the original's message remains."""
    job_id, other = home.submit("sleep 300"), home.submit("sleep 300")
    while home.state(job_id) != "RUN":
        pass
    shown = person(home, "cancel", job_id[:6])
    waited = person(home, "cancel", job_id, "--wait")
    piped = home.cloudqcli("cancel", other)

    assert shown.lines == [f"Job ({job_id}): cancellation requested; --wait waits until it has happened."]
    assert waited.lines[-1] == f"Job ({job_id}) is canceled."
    assert piped.stdout == f"Job ({other}) is canceled.\n"


@pytest.mark.real
@pytest.mark.xdist_group("slurm")
def test_jobs_on_slurm_are_selected_awaited_and_canceled_truthfully(slurm_site: Site) -> None:
    """The terminal showed "is canceled" while Slurm still ran the job."""

    def on_screen(*args: str) -> Shown:
        words = ("-m", "cloudq.entrypoints.cloudqcli", *args)
        return on_terminal(slurm_site.environment(), *words)

    with slurm_site.client() as client, slurm_site.agent():
        failing = submit(client, slurm_site, BASH + "exit 4\n")
        running = submit(client, slurm_site, BASH + "sleep 300\n")
        assert slurm_site.run("cloudqcli", "wait", "--name", "*", "--any").returncode == 4
        wait_until(lambda: client.job(running).state is JobState.RUN)
        requested = on_screen("cancel", running[:6])
        state_then = client.job(running).state
        awaited = on_screen("cancel", running, "--wait")
        both = slurm_site.run("cloudqcli", "wait", running, failing)
        history = slurm_site.cli("history", "--state", "ERROR,DELETED", "--since", "1h")

    assert (
        requested.text == f"Job ({running}): cancellation requested; --wait waits until it has happened.\r\n"
    )
    assert not state_then.is_final
    assert awaited.lines[-1] == f"Job ({running}) is canceled."
    assert both.returncode == 143
    assert {line.split()[0] for line in history.splitlines()[2:]} == {failing, running}


def test_bash_completes_commands_ids_and_files(home: Home, tmp_path: Path) -> None:
    job_id = home.submit("true")
    command = tmp_path / "bin" / "cloudqcli"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m cloudq.entrypoints.cloudqcli "$@"\n')
    command.chmod(0o755)

    def complete(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in words)
        script = (
            'eval "$(cloudqcli completion bash)"; '
            f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
            '_cloudqcli_completion cloudqcli; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        environ = {**home.environ, "PATH": f"{command.parent}:{home.environ['PATH']}"}
        # `compopt`, for files, works in a shell that completes a line, which this one does not.
        done = subprocess.run(
            ["bash", "-c", script], env=environ, capture_output=True, text=True, check=False
        )
        return done.stdout.split()

    assert complete("cloudqcli", "sta") == ["stat", "stageout"]
    assert complete("cloudqcli", "stat", job_id[:2]) == [job_id]
    assert complete("cloudqcli", "delete", "--al") == ["--all"]


@pytest.mark.usefixtures("running_agent")
def test_a_person_who_fetches_reads_where_the_results_are(home: Home, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shown = person(home, "submit", "--submit_to", "local", "--fetch", str(results), "--", "true")
    job_id = shown.screen[0][5:13]

    assert shown.status == 0
    assert "".join(shown.screen).endswith(f"Job ({job_id}): the results are in {results / job_id}")
