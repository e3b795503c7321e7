"""The job shell: a head of assignments, and the parts that one job needs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from attrs import evolve

from cloudq.adapters import job_shell
from cloudq.adapters.job_shell import for_attempt, render_job_shell
from cloudq.domain.jobs.job_shell import JobShellPlan, MetaSetting, ShellDialect
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.header import HeaderSyntax
from tests.parts.shell_claim import attempt_of

ROOT = Path(__file__).parents[3]
SOURCES = Path(job_shell.__file__).parent
PARTS = {path.name: path.read_text() for path in SOURCES.glob("*.bash")}
PLAN = JobShellPlan(ClaimTag("3f7e7681", 1), "/c", "/w", "/w/run.sh", has_shebang=True)
DIALECT = ShellDialect(HeaderSyntax("#TEST"), '"$JOB"', '"$TASK"', forward_signals=False)
ALWAYS = ["records.bash", "claim.bash", "enter.bash"]


def parts_of(text: str) -> list[str]:
    """Return the names of the parts in *text*, in order."""
    return sorted((name for name, part in PARTS.items() if part in text), key=lambda n: text.index(PARTS[n]))


def test_a_local_script_needs_only_a_few_parts() -> None:
    assert parts_of(render_job_shell(PLAN, DIALECT)) == [*ALWAYS, "interpreter.bash", "run.bash"]
    assert parts_of(render_job_shell(evolve(PLAN, has_shebang=False), DIALECT)) == [*ALWAYS, "run.bash"]


def test_signals_are_kept_from_the_lock_on_where_they_must_be_forwarded() -> None:
    dialect = evolve(DIALECT, forward_signals=True, copies_output=True)

    assert parts_of(render_job_shell(PLAN, dialect)) == [
        "records.bash", "claim.bash", "early_signals.bash", "enter.bash", "copy_output.bash",
        "interpreter.bash", "run_and_forward.bash",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ({}, []),
        ({"tools_dir": "/t"}, []),
        ({"preamble": ("module load x",)}, ["guard.bash", "usual_options.bash"]),
        ({"images": ("docker://a",)}, ["guard.bash", "fetch_image.bash"]),
    ],
)
def test_a_meta_job_is_guarded_while_it_is_prepared(setting: dict[str, object], parts: list[str]) -> None:
    meta = MetaSetting(environment={}, **setting)  # type: ignore[arg-type]

    text = render_job_shell(evolve(PLAN, meta=meta), DIALECT)

    assert parts_of(text) == [*ALWAYS, *parts, "interpreter.bash", "run.bash"]


def test_arguments_of_tasks_are_read_before_any_signal_is_kept() -> None:
    dialect = evolve(DIALECT, forward_signals=True)
    text = render_job_shell(evolve(PLAN, has_task_arguments=True), dialect)

    assert parts_of(text)[:4] == ["records.bash", "claim.bash", "task_arguments.bash", "early_signals.bash"]


def test_no_value_begins_a_line_that_a_scheduler_could_read() -> None:
    """Grid Engine takes its options from every line of a script that begins with its prefix."""
    hostile = "x\n#$ -q other\r\n#TEST -q other\n"
    plan = evolve(PLAN, arguments=(hostile,), environment=(f"NAME={hostile}",))

    assert [line for line in render_job_shell(plan, DIALECT).splitlines() if "-q other" in line[:14]] == []


def test_header_lines_come_before_everything_else() -> None:
    text = render_job_shell(evolve(PLAN, header_lines=("#TEST -N a", "#TEST -l b")), DIALECT)

    assert text.startswith("#!/bin/bash\n#TEST -N a\n#TEST -l b\n# cloudq job shell of claim 3f7e7681.1: ")


def test_only_the_number_of_the_attempt_differs_from_attempt_to_attempt() -> None:
    first = render_job_shell(evolve(PLAN, control_dir="/a\ncq_attempt=5\n"), DIALECT)
    third = for_attempt(first, 3)

    assert (attempt_of(first), attempt_of(third)) == (1, 3)
    assert third.replace("cq_attempt=3\n", "cq_attempt=1\n", 1) == first


def test_all_parts_are_in_the_package() -> None:
    """Files that are not configured in setuptools exist in development, but are missing from the wheel."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {path for glob in settings["cloudq"] for path in (ROOT / "cloudq").glob(glob)}

    assert {path for path in SOURCES.iterdir() if path.is_file() and path.suffix != ".py"} <= packed
