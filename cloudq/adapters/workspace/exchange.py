"""Measure how long files take to become visible between a login node and a node that runs a job."""

from __future__ import annotations

from pathlib import Path

from cloudq.adapters.filesystem import as_workspace_problem, create_file
from cloudq.domain.errors import WorkspaceProblem
from cloudq.ports.clock import Clock

ROUNDS = 3
LONGEST_S = 100.0
LOOK_EVERY_S = 0.1


def exchange_files(directory: Path, clock: Clock) -> float:
    """Exchange files with a job in *directory*; return the seconds that the slowest answer took.

    A question and its answer are files. The time covers both directions, so neither took longer; one
    clock measures it. Raises `WorkspaceProblem` if an answer does not arrive.
    """
    with as_workspace_problem(f"exchange files in {directory}"):
        try:
            return max(_round(directory, number, clock) for number in range(1, ROUNDS + 1))
        finally:
            create_file(directory / "enough", b"")


def _round(directory: Path, number: int, clock: Clock) -> float:
    asked_at = clock.elapsed()
    create_file(directory / f"question.{number}", b"")
    answer = f"answer.{number}"
    while not any(path.name == answer for path in directory.iterdir()):
        if clock.elapsed() - asked_at > LONGEST_S:
            raise WorkspaceProblem(f"no file of the job was seen in {directory} within {LONGEST_S:.0f} s")
        clock.sleep(LOOK_EVERY_S)
    return clock.elapsed() - asked_at
