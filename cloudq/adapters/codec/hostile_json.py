"""Conversion of untrusted JSON text to plain values that are safe to process."""

from __future__ import annotations

import json
import math
import re
from itertools import chain
from typing import Any, NoReturn

from cloudq.domain.errors import NewerFormat, RecordRejected

FORMAT = "1.0"
"""The format that this cloudq writes; it reads every format with the same major number."""

MAX_DEPTH = 32
MAX_PARTS = 100_000
"""Lists and objects per record: an empty one takes two bytes in the bucket and sixty in memory."""
MAX_PROBLEMS = 20
"""Problems reported per record: a hostile one may have a million."""

_FORMAT = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def dump(record: dict[str, Any]) -> bytes:
    """Return *record* as bytes, with ``?`` for what is not Unicode (a name that could not be decoded).

    Escaped surrogates would be read back as text that can be neither printed nor written.
    """
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def load(body: bytes, key: str) -> dict[str, Any]:
    """Return the object in *body*. Raises `RecordRejected`, or `NewerFormat` for a newer major format."""
    if has_too_many_parts(body):
        raise rejected(key, [f"has more than {MAX_PARTS} lists and objects"])
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise rejected(key, ["nested too deeply"]) from None
    except ValueError as error:
        raise rejected(key, [f"not JSON as cloudq writes it: {error}"]) from error
    if not isinstance(value, dict):
        raise rejected(key, [f"holds {kind_of(value)}, not an object"])
    if _may_be_unfit(text) and (problem := _content_problem(value)):
        raise rejected(key, [problem])
    _check_format(value, key)
    return value


def has_too_many_parts(body: bytes) -> bool:
    """Return whether *body*, parsed as JSON, would take much more memory than *body* itself."""
    return body.count(b"{") + body.count(b"[") > MAX_PARTS


def rejected(key: str, problems: list[str]) -> RecordRejected:
    """Return the error that names *key* and its *problems*, of very many only the first ones."""
    shown = problems[:MAX_PROBLEMS]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    return RecordRejected(f"{key} is not what cloudq writes there and was not used: {'; '.join(shown)}")


def kind_of(value: object) -> str:
    """Return the JSON type of *value* in words; its text may be anything and is not repeated."""
    return _KINDS.get(type(value), "something else")


_KINDS: dict[type, str] = {
    dict: "an object", list: "a list", str: "text", bool: "true or false",
    int: "a number", float: "a fraction", type(None): "null",
}  # fmt: skip


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _may_be_unfit(text: str) -> bool:
    """Return whether *text* needs a close look: many brackets, or an escaped half of a surrogate pair."""
    return text.count("{") + text.count("[") > MAX_DEPTH or _ESCAPED_SURROGATE.search(text) is not None


def _content_problem(record: dict[str, Any]) -> str | None:
    """Return the problem that makes *record* impossible to print or to write back, or None."""
    todo: list[tuple[Any, int]] = [(record, 1)]
    while todo:
        holder, depth = todo.pop()
        if depth > MAX_DEPTH:
            return "nested too deeply"
        for value in chain(holder, holder.values() if isinstance(holder, dict) else ()):
            if isinstance(value, str) and _SURROGATE.search(value):
                return "contains half of a surrogate pair"
            if isinstance(value, dict | list):
                todo.append((value, depth + 1))
    return None


def _check_format(record: dict[str, Any], key: str) -> None:
    theirs = record.get("format")
    match = _FORMAT.fullmatch(theirs) if isinstance(theirs, str) else None
    if match is None:
        raise rejected(key, ["has no format, such as 1.0"])
    ours = int(FORMAT.partition(".")[0])
    if int(match[1]) > ours:
        raise NewerFormat(
            f"{key} has format {theirs}, which a newer cloudq wrote; this one reads {FORMAT}: upgrade cloudq"
        )
    if int(match[1]) < ours:
        raise rejected(key, [f"has format {theirs}, which no cloudq version for this bucket writes"])
