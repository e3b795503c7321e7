"""Labels: the "key=value" texts that users attach to jobs and select jobs by."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cloudq.domain.errors import InvalidInput

MAX_LABELS = 8
MAX_CHARS = 512
"""The limit for all labels of a job together: they are part of the key of its history entry."""

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}")
_VALUE = re.compile(r"[A-Za-z0-9_.:/@+-]{0,63}")


def label_problem(text: str) -> str | None:
    """Return why *text* is not a label, or None if it is one."""
    key, separator, value = text.partition("=")
    if not separator:
        return f"label {text!r} has no '=': write it as key=value"
    if _KEY.fullmatch(key) is None:
        return (
            f"label {text!r}: {key!r} is not a key: a letter, then letters, digits, '_', '.' and '-', "
            "32 characters at most"
        )
    if _VALUE.fullmatch(value) is None:
        return (
            f"label {text!r}: {value!r} is not a value: letters, digits and '_.:/@+-', 63 characters at most"
        )
    return None


def checked_labels(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the labels *texts*, sorted by key. Raises `InvalidInput` with all problems.

    A label that is given twice counts once; two values for one key are a problem.
    """
    labels = sorted(set(texts), key=lambda text: (text.partition("=")[0], text))
    problems = [problem for label in labels if (problem := label_problem(label))]
    keys = [label.partition("=")[0] for label in labels]
    problems += [f"label {key!r} has several values" for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if len(labels) > MAX_LABELS:
        problems.append(f"{len(labels)} labels: {MAX_LABELS} at most")
    elif sum(map(len, labels)) > MAX_CHARS:
        problems.append(f"the labels have more than {MAX_CHARS} characters in all")
    if problems:
        raise InvalidInput(problems)
    return tuple(labels)
