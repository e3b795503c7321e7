"""The states of the tasks of an array job, in a compact form however many tasks there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from attrs import field, frozen

from cloudq.domain.jobs.job_state import FINAL_STATES, WORST_FIRST, JobState
from cloudq.domain.scripts.array_range import ArrayRange


@frozen
class TaskState:
    """The state of one task; ``exit_code`` is None until the script ended with one."""

    state: JobState
    exit_code: int | None = None
    reason: str = field(default="", eq=False)


MAX_REASONS = 100
"""The number of distinct reasons kept for one array: each may be long, and there may be many tasks."""
MAX_REASON_CHARS = 300


@frozen
class TaskGroup:
    """Tasks with the same state, exit code and reason."""

    ids: ArrayRange
    state: JobState
    exit_code: int | None = None
    reason: str = ""
    """The reason for their failure, if the exit code does not show it already."""

    def __str__(self) -> str:
        code = "" if self.exit_code is None else f", exit code {self.exit_code}"
        reason = f": {self.reason}" if self.reason else ""
        return f"task {self.ids}: {self.state.value}{code}{reason}"


@frozen
class TaskStates:
    """The states of all tasks, as groups of ids with the same state."""

    groups: tuple[TaskGroup, ...] = ()

    @classmethod
    def all_alike(cls, ids: ArrayRange, state: JobState) -> TaskStates:
        """Return the states with every task of *ids* in *state*."""
        return cls((TaskGroup(ArrayRange(ids.spans), state),))

    @classmethod
    def of(cls, states: Mapping[int, TaskState]) -> TaskStates:
        """Group the tasks by equal states and reasons, in the order of their lowest ids."""
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
        """Yield every task id with its state."""
        for group in self.groups:
            state = TaskState(group.state, group.exit_code, group.reason)
            for task_id in group.ids:
                yield task_id, state

    @property
    def progress(self) -> str:
        """How many tasks have ended and how many of them failed, such as ``3/10, 1 failed``."""
        ended = [group for group in self.groups if group.state.is_final]
        failed = sum(len(group.ids) for group in ended if group.state is not JobState.DONE)
        of_all = f"{sum(len(group.ids) for group in ended)}/{sum(len(group.ids) for group in self.groups)}"
        return f"{of_all}, {failed} failed" if failed else of_all

    def as_dict(self) -> dict[int, TaskState]:
        """Return the states as a dictionary by task id."""
        return dict(self.items())


def _lasting_reason(state: TaskState) -> str:
    """Return the reason of a failure, unless it only repeats the state or the exit code."""
    if not state.state.is_final or state.state is JobState.DONE:
        return ""
    is_redundant = state.reason in {"canceled", f"exit code {state.exit_code}"}
    return "" if is_redundant else state.reason[:MAX_REASON_CHARS]


def _common_reason(seen: Iterable[TaskState], states: Set[JobState]) -> str:
    """Return the reason that all tasks in *states* share, such as a hold; empty if they differ."""
    reasons = {state.reason for state in seen if state.state in states}
    return reasons.pop() if len(reasons) == 1 else ""


def ended_in(progress: str) -> int:
    """Return how many tasks have ended by a text such as `TaskStates.progress`; 0 for any other text."""
    ended = progress.partition("/")[0]
    return int(ended) if ended.isdecimal() and len(ended) < 10 else 0


MAX_WAITING_REASONS = 3


def why_tasks_wait(states: Iterable[TaskState]) -> str:
    """Return the scheduler's reasons why some tasks wait, unless `derive` gives the one that all share."""
    seen = list(states)
    waiting = {state.reason for state in seen if not state.state.is_final and state.state not in _RUNNING}
    is_common = len(waiting) == 1 and not any(state.state in _RUNNING for state in seen)
    reasons = sorted(filter(None, waiting))
    if is_common or not reasons:
        return ""
    more = " …" if len(reasons) > MAX_WAITING_REASONS else ""
    return f"tasks wait: {', '.join(reasons[:MAX_WAITING_REASONS])}{more}"


_RUNNING = frozenset({JobState.RUN, JobState.COMPLETING, JobState.DELETING})


def derive(states: Iterable[TaskState]) -> TaskState | None:
    """Derive the state of a job from the states of its tasks (design section 4)."""
    seen = list(states)
    present = {state.state for state in seen}
    if not present:
        return None
    running = present & _RUNNING
    if running:
        return TaskState(JobState.RUN, reason=_common_reason(seen, running))
    if present - FINAL_STATES:
        return TaskState(JobState.READY, reason=_common_reason(seen, present - FINAL_STATES))
    worst = next(state for state in WORST_FIRST if state in present)
    return next(state for state in seen if state.state is worst)
