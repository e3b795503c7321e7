"""The text of the job shell satisfies shellcheck and keeps to bash 3.2, in parts and as a whole."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from cloudq.adapters import job_shell, job_tools
from cloudq.adapters.job_shell import render_job_shell
from cloudq.adapters.schedulers.grid_engine.scheduler import GRID_ENGINE_DIALECT
from cloudq.adapters.schedulers.local.scheduler import LOCAL_DIALECT
from cloudq.adapters.schedulers.pbs.scheduler import PBS_DIALECT
from cloudq.adapters.schedulers.slurm.scheduler import SLURM_DIALECT
from cloudq.domain.jobs.job_shell import JobShellPlan, MetaSetting
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange

PARTS = sorted(Path(job_shell.__file__).parent.glob("*.bash"))
TOOLS = sorted(Path(job_tools.__file__).parent.glob("cq_*"))
HOSTILE = 'it\'s a "b" \\ é\n*'
METAS = (
    None,
    MetaSetting(environment={"SYSTEM": "kaede"}, tools_dir="/c/tools"),
    MetaSetting(
        environment={"SYSTEM": HOSTILE},
        preamble=("module load singularitypro",),
        tools_dir=HOSTILE,
        images=("docker://ubuntu", HOSTILE),
    ),
)
NEWER_THAN_BASH_3_2 = {
    "BASHPID without a replacement": r"\$BASHPID|\$\{BASHPID\}",
    "other variables": r"EPOCHSECONDS|EPOCHREALTIME|BASH_XTRACEFD|SRANDOM|BASH_ARGV0",
    "builtins": r"\b(mapfile|readarray|coproc)\b",
    "declare or local with -A, -g, -n": r"\b(declare|typeset|local)\s+-\w*[Agn]",
    "wait -n": r"\bwait\s+-\w*[nfp]",
    "read -N, or parts of a second": r"\bread\b.*(-\w*[Ni]\b|-t ?\d*\.\d)",
    "printf of a time": r"printf.*%\(",
    "&>> and |&": r"&>>|\|&",
    ";& and ;;&": r";&",
    "${x^} and ${x,}": r"\$\{\w+(\[[^]]*\])?(\^|,)",
    "${x@Q}": r"\$\{\w+(\[[^]]*\])?@",
    "negative lengths and indices": r"\$\{\w+:[^}-]*:\s*-|\$\{\w+\[-",
    "a descriptor in a variable": r"(exec|[;{])\s+\{\w+\}[<>]",
    "[ -v x ]": r"\[\[?\s+(!\s+)?-[vR]\s",
    "{1..9..2}": r"\{\w+\.\.\w+\.\.",
    "shopt": r"shopt\s+-s\s+(globstar|lastpipe|inherit_errexit|localvar_\w+)",
}  # fmt: skip


def whole_job_shells() -> Iterator[str]:
    """Yield a job shell for each scheduler, kind of job and way to start the script."""
    dialects = (GRID_ENGINE_DIALECT, LOCAL_DIALECT, PBS_DIALECT, SLURM_DIALECT)
    for dialect, meta, interpreter in product(dialects, METAS, ("", HOSTILE)):
        plan = JobShellPlan(
            tag=ClaimTag("3f7e7681", 1),
            control_dir="/c",
            work_dir=HOSTILE,
            script_path=HOSTILE,
            has_shebang=True,
            header_lines=(f"{dialect.header.prefix} -N name",),
            interpreter=interpreter,
            system="kaede",
            array=ArrayRange.parse("1-7:2") if meta is METAS[-1] else None,
            meta=meta,
            arguments=(HOSTILE, "") if meta else (),
            has_task_arguments=bool(interpreter),
            environment=(f"NAME={HOSTILE}",) if meta else (),
        )
        yield render_job_shell(plan, dialect)


def findings_of_shellcheck(*arguments: str | Path) -> str:
    if shutil.which("shellcheck") is None:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain("not installed here: shellcheck")
    done = subprocess.run(["shellcheck", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (done.stdout == ""), done.stderr
    return done.stdout


@pytest.mark.real
def test_shellcheck_finds_nothing_in_the_parts() -> None:
    assert findings_of_shellcheck(*PARTS) == ""
    assert len(PARTS) == 12


@pytest.mark.real
def test_shellcheck_finds_nothing_in_whole_job_shells(tmp_path: Path) -> None:
    paths = []
    for number, text in enumerate(dict.fromkeys(whole_job_shells())):
        paths.append(tmp_path / f"{number}.sh")
        paths[-1].write_text(text)

    # It does not know that traps call functions, and that some functions do not return.
    assert findings_of_shellcheck("--exclude=SC2317", *paths) == ""
    assert len(paths) == 24


@pytest.mark.parametrize("path", [*PARTS, *TOOLS], ids=lambda path: path.name)
def test_shell_code_for_jobs_keeps_to_bash_3_2(path: Path) -> None:
    code = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))

    assert {name for name, newer in NEWER_THAN_BASH_3_2.items() if re.search(newer, code)} == set()


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.name)
def test_no_line_of_a_part_has_an_open_quote(path: Path) -> None:
    """A quote that a line of the site left open would end there, and commands after it would run."""
    for line in path.read_text().splitlines():
        assert [line.count(quote) % 2 for quote in "'\"`"] == [0, 0, 0], line


def test_every_name_in_the_parts_begins_with_cq() -> None:
    """The names of variables that the user exported must not be used: the script would get other values."""
    code = "\n".join(path.read_text() for path in PARTS)
    assigned = re.findall(r"^\s*(?:local )?(\w+)(?:\[\d+\])?=", code, re.MULTILINE)
    read = re.findall(r"\bread -r(?: -t 1)? ([\w ]+?) ?(?:<|;)", code)
    loops = re.findall(r"\bfor (\w+) in", code)
    functions = re.findall(r"^(\w+)\(\)", code, re.MULTILINE)

    names = {*assigned, *loops, *functions, *(name for words in read for name in words.split())}
    assert len(names) > 30
    assert {name for name in names if not name.startswith("cq_")} == {
        "IFS",
        "_",
    }  # IFS is set for one `read` at a time
