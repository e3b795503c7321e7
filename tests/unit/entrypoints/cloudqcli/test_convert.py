"""``cloudqcli convert``: the result of converting a meta jobscript, without any request."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.unit.entrypoints.cloudqcli.conftest import Cli

SCRIPT = "#!/bin/bash\n#$ project: imaging\n#$ resource: gpu\n#$ n_resource: 2\necho hi\n"


def configured(cli: Cli, text: str) -> Path:
    """Write the configuration file of the home, and return its path."""
    home = cli.world.tmp / "home"
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(text)
    return home


def test_prints_the_submit_command_and_the_script(cli: Cli) -> None:
    configured(cli, '[projects.imaging]\nabci = "gaa50000"\n[resources.gpu]\nabci = "rt_HF"\n')
    result = cli(
        "convert", "--script", cli.script("mjob.sh", SCRIPT), "--system", "ABCI", "--submit-opt", "-m n"
    )

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == (
        "submit command  qsub -P gaa50000 -q rt_HF -l select=2 -m n mjob_local.sh"
    )
    assert result.stdout.endswith("\n\n#!/bin/bash\n\n\n\necho hi\n")
    assert cli.world.stored() == []


def test_an_array_is_shown_as_the_system_is_asked_for_it(cli: Cli) -> None:
    script = cli.script("mjob.sh", SCRIPT)
    result = cli("convert", "--script", script, "--system", "x", "--profile", "slurm", "--array_tid", "1-4")

    assert "sbatch --array=1-4:1 --account=imaging" in result.stdout


def test_an_array_of_one_task_is_no_array_on_pbs(cli: Cli) -> None:
    script = cli.script("mjob.sh", SCRIPT)
    result = cli("convert", "--script", script, "--system", "x", "--profile", "pbs", "--array_tid", "3")

    assert result.stdout.startswith("submit command  qsub -A imaging -q gpu -l select=2 mjob_local.sh\n")


def test_options_that_the_agent_would_refuse_are_refused(cli: Cli) -> None:
    script = cli.script("mjob.sh", SCRIPT)
    result = cli("convert", "--script", script, "--system", "slurm", "--submit_opt", "--wait")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "submit_opt: --wait: the agent does not wait for one job" in result.stderr


def test_no_path_of_this_machine_is_in_the_submit_command(cli: Cli) -> None:
    script = cli.script("mjob.sh", SCRIPT)
    for profile in ("local", "slurm", "gridengine", "pbs"):
        result = cli("convert", "--script", script, "--system", "x", "--profile", profile)

        command = shlex.split(result.stdout.splitlines()[0])
        assert not [word for word in command if word == "." or "/" in word or "stdout" in word]


def test_a_profile_of_ones_own_is_found_by_its_name(cli: Cli) -> None:
    home = configured(cli, "")
    (home / "systems").mkdir()
    (home / "systems" / "kaede.toml").write_text(
        'extends = "slurm"\n[options]\nproject = "--wckey={project}"\n'
    )
    result = cli("convert", "--script", cli.script("mjob.sh", SCRIPT), "--system", "kaede")

    assert "sbatch --wckey=imaging --partition=gpu --nodes=2 mjob_local.sh" in result.stdout


def test_everything_that_is_wrong_is_named_at_once(cli: Cli) -> None:
    script = cli.script(
        "mjob.sh", SCRIPT.replace("n_resource: 2", "n_resource: two").replace("project", "prject")
    )
    result = cli("convert", "--script", script, "--system", "a b", "--array_tid", "4-1")

    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 5


def test_what_the_system_does_not_have_is_said(cli: Cli) -> None:
    result = cli("convert", "--script", cli.script("mjob.sh", SCRIPT), "--system", "abci")

    assert result.exit_code == 2
    assert "abci: profile abci has no resource 'gpu' (known: rt_HC" in result.stderr


def test_a_system_that_nothing_is_known_of_needs_a_profile(cli: Cli) -> None:
    result = cli("convert", "--script", cli.script("mjob.sh", SCRIPT), "--system", "kaede")

    assert result.exit_code == 3
    assert "name its profile" in result.stderr


def test_a_script_that_would_not_run_there_is_told(cli: Cli) -> None:
    script = cli.script("mjob.sh", SCRIPT.replace("echo", "#$ run_on: abci\necho"))
    result = cli("convert", "--script", script, "--system", "slurm")

    assert result.exit_code == 0
    assert result.stderr == "The script sets run_on: abci, so it would not run on slurm.\n"
