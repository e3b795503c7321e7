"""Words of the command line: inner layers use none; the entrypoints add them to errors from one table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cloudq
from cloudq.domain import errors
from cloudq.domain.finding import Remedy
from cloudq.entrypoints.cloudqcli.commands.doctor import COMMANDS
from cloudq.entrypoints.shared.advice import ADVICE, advised

ROOT = Path(cloudq.__file__).parent
COMMANDS_OF_CLOUDQ = re.compile(r"\bcloudq(?:cli|d|aws)\b(?!\.log)")
OPTIONS = re.compile(r"(?<![\w-])--[a-z]")
OF_SCHEDULERS = {"domain/jobs/acceptance.py", "domain/scripts/local_script.py"}
"""Their options are those of sbatch and qsub."""
STARTS_THE_AGENT = {"adapters/agent_process.py"}
"""It names the module of the command."""


def strings(path: Path) -> Iterator[str]:
    """Yield the strings of a module, except docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
            yield node.value


def matches(pattern: re.Pattern[str], layers: tuple[str, ...], exempt: set[str]) -> list[tuple[str, str]]:
    modules = {
        path.relative_to(ROOT).as_posix(): path for layer in layers for path in (ROOT / layer).rglob("*.py")
    }
    return [
        (name, text)
        for name, path in modules.items()
        if name not in exempt
        for text in strings(path)
        if pattern.search(text)
    ]


def test_inner_layers_name_no_command_and_no_option() -> None:
    inner = ("domain", "ports", "application")

    assert matches(OPTIONS, inner, OF_SCHEDULERS) == []
    assert matches(COMMANDS_OF_CLOUDQ, (*inner, "adapters"), STARTS_THE_AGENT) == []


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (errors.JobNotFinal("3f7e7681", "RUN"),
         ("Job (3f7e7681) is RUN: only a finished job can be deleted. "
          "Cancel it first: cloudqcli cancel --id 3f7e7681")),
        (errors.HolderReported("3f7e7681", "alpha", 1800.0),
         ("The agent of alpha reported recently, so job (3f7e7681) may still run there. "
          "Wait until it has been silent for 30 min, or use --force: the job may run twice.")),
        (errors.InvalidInput(["no script", errors.SystemNeverReported('unknown system "beta".')]),
         'no script\nunknown system "beta". Use --force to queue the job anyway.'),
        (errors.StagedOutInPart("3f7e7681", Path("out"), [errors.ArchiveKeptPacked("a.zip: unpack it")]),
         "Job (3f7e7681) was staged out into out, except for:\na.zip: unpack it or use --unlimited"),
        (errors.UnknownSystem("unknown system"), "unknown system"),
        (errors.ClusterNotDeleted("c", "remove it."),
         "remove it, then run 'cloudqaws delete --name c' again."),
        (OSError("refused"), "refused"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_advice_follows_the_text_of_an_error(error: Exception, shown: str) -> None:
    assert advised(error) == shown


def test_advice_uses_only_fields_that_its_errors_have() -> None:
    for kind, advice in ADVICE.items():
        fields = re.findall(r"\{error\.(\w+)\}", advice)
        arguments = kind.__init__.__code__.co_varnames if fields else ()

        assert set(fields) <= set(arguments), kind


def test_every_remedy_has_a_command() -> None:
    assert set(COMMANDS) == set(Remedy)
