"""``completion``: the scripts, and the words for them; none costs a request."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from cloudq.adapters.client_memory import FileClientMemory
from cloudq.bootstrap.client_memory import client_memory
from cloudq.config import load_config
from cloudq.entrypoints.cloudqcli import main
from tests.builders import a_finished_job, a_job
from tests.parts.dict_memory import DictMemory
from tests.unit.entrypoints.cloudqcli.conftest import Cli


def words(*typed: str) -> list[str]:
    """Return how the last of the *typed* words may continue; of files, ``file:`` and the word."""
    completion = ShellComplete(main, {}, "cloudqcli", "_CLOUDQCLI_COMPLETE")
    items = completion.get_completions(list(typed[:-1]), typed[-1])
    return [item.value if item.type == "plain" else f"{item.type}:{item.value}" for item in items]


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileClientMemory:
    """The memory of the default store in a fresh home."""
    monkeypatch.setenv("CLOUDQ_HOME", str(tmp_path / "home"))
    memory = client_memory(load_config())
    assert isinstance(memory, FileClientMemory)
    memory.note_jobs(["3f7e7681", "3f000000", "4a000000"])
    memory.note_systems(["alpha", "beta"])
    return memory


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_for_each_shell(cli: Cli, shell: str) -> None:
    result = cli("completion", shell)

    assert (result.exit_code, result.stderr) == (0, "")
    assert "_CLOUDQCLI_COMPLETE" in result.stdout
    assert "_cloudqcli_completion" in result.stdout


def test_other_shells_are_refused(cli: Cli) -> None:
    assert cli("completion", "tcsh").exit_code == 2


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["sta"], ["stat", "stageout"]),
        (["stat", ""], ["3f7e7681", "3f000000", "4a000000"]),
        (["stat", "3f"], ["3f7e7681", "3f000000"]),
        (["stat", "4a000000", "3f7"], ["3f7e7681"]),
        (["wait", "--id", "4a"], ["4a000000"]),
        (["submit", "--hold_jid", "4a000000,3f7"], ["4a000000,3f7e7681"]),
        (["submit", "--submit_to", "a"], ["alpha"]),
        (["submit", "--submit-to", "b"], ["beta"]),
        (["submit", "--script", "jo"], ["file:jo"]),
        (["list", "--system", ""], ["alpha", "beta"]),
        (["log", "--agent", "b"], ["beta"]),
        (["list", "--state", "READY,r"], ["READY,READY", "READY,RUN"]),
        (["delete", "--al"], ["--all"]),
        (["completion", "z"], ["zsh"]),
        (["--conf"], ["--config"]),
    ],
)
def test_words_are_completed(typed: list[str], expected: list[str]) -> None:
    assert words(*typed) == expected


def test_a_configuration_with_mistakes_completes_nothing(memory: FileClientMemory, tmp_path: Path) -> None:
    (tmp_path / "home" / "config.toml").write_text("nonsense")

    assert words("stat", "") == []


def test_commands_are_completed_without_importing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def imports(*_: object) -> click.Command:
        raise AssertionError("a command was imported")

    monkeypatch.setattr(type(main), "get_command", imports)

    assert "submit" in words("")


def test_list_history_and_agents_remember_what_they_show(cli: Cli) -> None:
    memory = cli.world.memory = DictMemory()
    cli.agent()
    cli.put(a_job(uuid="00000001"))
    cli.put(a_finished_job("00000002"))
    cli("list")
    cli("agents")
    assert (memory.known_jobs, memory.known_systems) == (["00000001"], {"alpha"})

    cli("history")
    assert memory.known_jobs == ["00000002", "00000001"]
