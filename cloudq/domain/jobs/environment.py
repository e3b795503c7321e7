"""The environment variables that the owner of a job sets for its script."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.arguments import total_bytes, word_problem

MAX_VARIABLES = 200
MAX_BYTES = 65_536

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

_PREFIXES = (
    "ARY_TASK_", "BASH", "CLOUDQ_", "CONTAINER_IMG", "CQ_", "PBS_", "SGE_", "SLURM_ARRAY_", "SLURM_JOB",
    "cq_",
)  # fmt: skip
"""The beginnings of names that cloudq, bash or a scheduler sets."""

_NAMES = frozenset({
    "EUID", "IFS", "JOB_ID", "LD_AUDIT", "LD_PRELOAD", "PATH", "POSIXLY_CORRECT", "PPID", "SHELLOPTS",
    "SYSTEM", "TASK_ID", "UID",
})  # fmt: skip


def variable_problem(text: str) -> str | None:
    """Return why *text* is not ``NAME=value`` for a variable that a job may have, or None if it is."""
    name, separator, value = text.partition("=")
    if not separator:
        return f"variable {text!r} has no '=': write it as NAME=value"
    if _NAME.fullmatch(name) is None:
        return f"{name[:128]!r} is not the name of a variable: letters, digits and '_', not first a digit"
    if name in _NAMES or name.startswith(_PREFIXES):
        return f"variable {name} is set by cloudq, the shell or the scheduler: set it in the script"
    if problem := word_problem(value):
        return f"variable {name}: the value {problem}"
    return None


def checked_environment(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the variables *texts*, ``NAME=value``; a later value replaces an earlier one.

    Raises `InvalidInput` with all problems.
    """
    problems = [problem for text in texts if (problem := variable_problem(text))]
    environment = tuple({text.partition("=")[0]: text for text in texts}.values())
    if len(environment) > MAX_VARIABLES or total_bytes(environment) > MAX_BYTES:
        problems.append(f"the environment is more than {MAX_VARIABLES} variables or {MAX_BYTES} bytes")
    if problems:
        raise InvalidInput(problems)
    return environment
