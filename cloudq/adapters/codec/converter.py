"""The cattrs converter, built at first use: importing cattrs takes too long for `cloudqcli --help`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from attrs import fields_dict

from cloudq.adapters.codec import checks
from cloudq.adapters.codec.hostile_json import kind_of, rejected
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.dependency import Holds
from cloudq.domain.jobs.job import Job, StateChange
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.lease import Lease, Offer, OfferedResource, ProcessIdentity
from cloudq.domain.jobs.summary import ActiveJob, ActiveSummary
from cloudq.domain.jobs.task_states import TaskGroup, TaskStates
from cloudq.domain.scripts.array_range import MAX_TASKS, ArrayRange
from cloudq.domain.scripts.system_mapping import SystemMapping

if TYPE_CHECKING:
    from cattrs import Converter

Record = TypeVar("Record")

_FIELD_CHECKS: dict[type, dict[str, checks.Check]] = {
    StateChange: {},
    TaskGroup: {"exit_code": checks.optional(checks.exit_code), "reason": checks.short_text},
    Job: {
        "uuid": checks.job_id,
        "name": checks.file_name,
        "jobid": checks.scheduler_job_id_or_none,
        "jobscript_type": checks.short_text,
        "submit_to": checks.system_or_none,
        "run_system": checks.system_or_none,
        "local_name": checks.file_name_or_none,
        "size_input": checks.optional(checks.count),
        "size_output": checks.optional(checks.count),
        "input_files": checks.optional(checks.count),
        "input_bytes": checks.optional(checks.count),
        "output_archives": checks.optional(checks.number_between(0, 9_999)),
        "output_files": checks.optional(checks.count),
        "output_bytes": checks.optional(checks.count),
        "left_out_count": checks.count,
        "exit_code": checks.optional(checks.exit_code),
        "claim": checks.number_between(0, 999_999),
        "home": checks.short_text,
        "history_key": checks.short_text,
        "submission": checks.word_or_none,
        "revision": checks.count,
        "nonce": checks.short_text,
    },
    Claim: {
        "n": checks.number_between(1, 999_999),
        "nonce": checks.short_text,
        "system": checks.system_or_none,
        "epoch": checks.count,
        "home": checks.short_text,
        "by": checks.short_text,
    },
    ProcessIdentity: {
        "host": checks.short_text,
        "boot_id": checks.short_text,
        "pid_namespace": checks.short_text,
        "pid": checks.count,
        "started": checks.short_text,
    },
    SystemMapping: {
        "system": checks.system,
        "project": checks.short_text,
        "resource": checks.short_text,
    },
    OfferedResource: {"name": checks.short_text, "max_n": checks.optional(checks.count)},
    Offer: {
        "max_n": checks.optional(checks.count),
        "max_walltime_s": checks.optional(checks.count),
        "scheduler": checks.short_text,
        "handicap_s": checks.seconds_between(0, 10**9),
        "slots": checks.optional(checks.count),
    },
    Lease: {
        "epoch": checks.number_between(1, checks.MAX_NUMBER),
        "nonce": checks.short_text,
        "version": checks.short_text,
        "profile": checks.short_text,
        "home": checks.short_text,
        "bucket_doubt": checks.word_or_none,
        "time_to_live_s": checks.seconds_between(1, 86_400),
    },
    ActiveJob: {
        "job_id": checks.job_id,
        "name": checks.file_name,
        "run_system": checks.system_or_none,
        "progress": checks.short_text,
    },
    ActiveSummary: {"epoch": checks.number_between(1, checks.MAX_NUMBER)},
}  # fmt: skip

_NAME_LISTS: dict[type, dict[str, tuple[checks.Check, int]]] = {
    Job: {
        **dict.fromkeys(fields_dict(Holds), (checks.job_id, 20_000)),
        "invited": (checks.system, 1_000),
        "left_out": (checks.short_text, 1_000),
    },
    Claim: {"systems": (checks.system, 1_000), "no_longer": (checks.system, 1_000)},
}
"""Lists of names, each with the largest number of items."""


def structure(record: dict[str, Any], kind: type[Record], key: str) -> Record:
    """Return *record* as a *kind*. Raises `RecordRejected` with every problem and its place."""
    from cattrs import BaseValidationError, transform_error  # noqa: PLC0415 - see the module's first line

    try:
        return _converter().structure(record, kind)
    except BaseValidationError as error:
        problems = transform_error(error, format_exception=_in_words)
        raise rejected(key, problems) from error


def unstructure(record: object) -> dict[str, Any]:
    """Return *record* as plain values."""
    plain: dict[str, Any] = _converter().unstructure(record)
    return plain


def _in_words(error: BaseException, _: type | None) -> str:
    return "is missing" if isinstance(error, KeyError) else str(error)[:200]


@cache
def _converter() -> Converter:
    from cattrs import Converter  # noqa: PLC0415 - see the module's first line

    converter = Converter(detailed_validation=True)
    _register_values(converter)
    _register_records(converter)
    return converter


def _register_values(converter: Converter) -> None:
    plain: dict[Any, checks.Check] = {
        str: checks.text, int: checks.number, bool: checks.truth, datetime: checks.time,
        JobState: _member_of(JobState), ClaimKind: _member_of(ClaimKind),
        ArrayRange: _array_range,
    }  # fmt: skip
    for kind, check in plain.items():
        converter.register_structure_hook(kind, check)
    converter.register_structure_hook_func(_is_tuple, _list_hook(converter))
    converter.register_structure_hook(TaskStates, _task_states_hook(converter))
    converter.register_unstructure_hook(datetime, checks.time_text)
    converter.register_unstructure_hook(ArrayRange, str)
    converter.register_unstructure_hook(TaskStates, lambda states: converter.unstructure(states.groups))


def _register_records(converter: Converter) -> None:
    from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override  # noqa: PLC0415

    for kind, fields in _FIELD_CHECKS.items():
        overrides: dict[str, Any] = {name: override(struct_hook=check) for name, check in fields.items()}
        for name, (check, most) in _NAME_LISTS.get(kind, {}).items():
            overrides[name] = override(struct_hook=_names_hook(check, most))
        if kind is Job:
            overrides["extra"] = override(omit=True)
        hook: Callable[..., Any] = make_dict_structure_fn(
            kind, converter, _cattrs_detailed_validation=True, **overrides
        )
        converter.register_structure_hook(kind, _objects_only(hook))
    without_extra = make_dict_unstructure_fn(Job, converter, extra=override(omit=True))
    converter.register_unstructure_hook(Job, without_extra)
    # Tens of thousands of groups fit into a manifest because an empty reason is left out.
    short = make_dict_unstructure_fn(TaskGroup, converter, reason=override(omit_if_default=True))
    converter.register_unstructure_hook(TaskGroup, short)


def _objects_only(hook: Callable[..., Any]) -> checks.Check:
    def check(value: Any, kind: Any) -> Any:
        if not isinstance(value, dict):
            raise checks.Unfit(f"is {kind_of(value)}, not an object")
        return hook(value, kind)

    return check


def _member_of(kind: type[Enum]) -> checks.Check:
    members = {member.value: member for member in kind}

    def check(value: Any, _: Any = None) -> Enum:
        if not isinstance(value, str) or value not in members:
            raise checks.Unfit(f"is not one of {', '.join(members)}")
        return members[value]

    return check


def _array_range(value: Any, _: Any = None) -> ArrayRange:
    return ArrayRange.parse(checks.text_up_to(checks.MAX_RANGE_CHARS)(value, None), lowest=0)


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _checked_list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise checks.Unfit(f"is {kind_of(value)}, not a list")
    if len(value) > most:
        raise checks.Unfit(f"has more than {most} items")
    return value


def _list_hook(converter: Converter) -> checks.Check:
    def check(value: Any, kind: Any) -> tuple[Any, ...]:
        item = get_args(kind)[0]
        return tuple(converter.structure(_checked_list(value, checks.MAX_ITEMS), list[item]))  # type: ignore[valid-type]

    return check


def _names_hook(check_item: checks.Check, most: int) -> checks.Check:
    def check(value: Any, _: Any = None) -> tuple[str, ...]:
        return tuple(check_item(item, None) for item in _checked_list(value, most))

    return check


def _task_states_hook(converter: Converter) -> checks.Check:
    def check(value: Any, _: Any = None) -> TaskStates:
        # Count first: thousands of groups with all tasks each take few bytes but hours of work.
        if any(count > MAX_TASKS for count in accumulate(map(_task_count, _checked_list(value, MAX_TASKS)))):
            raise checks.Unfit(f"has more than {MAX_TASKS} tasks")
        groups = converter.structure(value, list[TaskGroup])
        total = sum(len(group.ids) for group in groups)
        if len({task for group in groups for task in group.ids}) != total:
            raise checks.Unfit("names a task twice")
        return TaskStates(tuple(groups))

    return check


def _task_count(group: Any) -> int:
    """Return the number of tasks that *group* names, or 0 if it is not a group."""
    ids = group.get("ids") if isinstance(group, dict) else None
    return ArrayRange.count_of(ids) if isinstance(ids, str) else 0
