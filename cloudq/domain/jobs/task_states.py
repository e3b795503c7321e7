"""What became of each task of an array job, small however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from attrs import field, frozen

from cloudq.domain.jobs.job_state import FINAL_STATES, WORST_FIRST, JobState
from cloudq.domain.scripts.array_range import ArrayRange


@frozen
class TaskState:
    """One task's state; ``exit_code`` is None until the script ended with one."""

    state: JobState
    exit_code: int | None = None
    reason: str = field(default="", eq=False)


MAX_REASONS = 100
"""Distinct reasons kept for one array: each may be long, and tasks are many."""
MAX_REASON_CHARS = 300


@frozen
class TaskGroup:
    """Tasks that stand alike."""

    ids: ArrayRange
    state: JobState
    exit_code: int | None = None
    reason: str = ""
    """Why they failed, where the exit code does not tell it already."""

    def __str__(self) -> str:
        code = "" if self.exit_code is None else f", exit code {self.exit_code}"
        reason = f": {self.reason}" if self.reason else ""
        return f"task {self.ids}: {self.state.value}{code}{reason}"


@frozen
class TaskStates:
    """The states of all tasks, as groups of ids that stand alike."""

    groups: tuple[TaskGroup, ...] = ()

    @classmethod
    def all_alike(cls, ids: ArrayRange, state: JobState) -> TaskStates:
        """Every task of *ids* in *state*."""
        return cls((TaskGroup(ArrayRange(ids.spans), state),))

    @classmethod
    def of(cls, states: Mapping[int, TaskState]) -> TaskStates:
        """Group *states* by what they say, in the order of their lowest ids."""
        alike: dict[tuple[TaskState, str], list[int]] = {}
        reasons: set[str] = set()
        for task_id, state in sorted(states.items()):
            reason = _lasting_reason(state)
            if len(reasons) >= MAX_REASONS and reason not in reasons:
                reason = ""
            reasons.add(reason)
            alike.setdefault((state, reason), []).append(task_id)
        return cls(
            tuple(
                TaskGroup(ArrayRange.covering(ids), state.state, state.exit_code, reason)
                for (state, reason), ids in alike.items()
            )
        )

    def items(self) -> Iterator[tuple[int, TaskState]]:
        """Every task id with its state."""
        for group in self.groups:
            state = TaskState(group.state, group.exit_code, group.reason)
            for task_id in group.ids:
                yield task_id, state

    def as_dict(self) -> dict[int, TaskState]:
        """The same as a dictionary of task ids."""
        return dict(self.items())


def _lasting_reason(state: TaskState) -> str:
    """The reason of a failure, unless it only repeats the state or the exit code."""
    if not state.state.is_final or state.state is JobState.DONE:
        return ""
    is_told = state.reason in {"canceled", f"exit code {state.exit_code}"}
    return "" if is_told else state.reason[:MAX_REASON_CHARS]


def _common_reason(seen: Iterable[TaskState], states: Set[JobState]) -> str:
    """The one reason that all tasks in *states* give, such as that they are held."""
    reasons = {state.reason for state in seen if state.state in states}
    return reasons.pop() if len(reasons) == 1 else ""


def derive(states: Iterable[TaskState]) -> TaskState | None:
    """Derive a job's state from its tasks' (design section 4)."""
    seen = list(states)
    present = {state.state for state in seen}
    if not present:
        return None
    running = present & {JobState.RUN, JobState.COMPLETING, JobState.DELETING}
    if running:
        return TaskState(JobState.RUN, reason=_common_reason(seen, running))
    if present - FINAL_STATES:
        return TaskState(JobState.READY, reason=_common_reason(seen, present - FINAL_STATES))
    worst = next(state for state in WORST_FIRST if state in present)
    return next(state for state in seen if state.state is worst)
