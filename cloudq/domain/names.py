"""Names and ids, and the checks for names that go into a key, a path or a command line.

Anyone who can write to the bucket can write any name there, so every name is checked against its pattern
before any use.
"""

from __future__ import annotations

import re

from attrs import frozen

from cloudq.domain.errors import InvalidInput

_JOB_ID = re.compile(r"[0-9a-f]{8}")
_JOB_ID_BEGINNING = re.compile(r"[0-9a-f]{1,8}")
_SYSTEM = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TAG = re.compile(r"([0-9a-f]{8})\.([1-9][0-9]{0,5})")
_LOCAL_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\[\]-]{0,127}")

MAX_FILE_NAME_BYTES = 200
"""The limit for file names, which leaves room for suffixes below the 255 bytes of common file systems."""


def is_job_id(text: str) -> bool:
    """Return whether *text* is a job id: 8 hexadecimal digits, lower case."""
    return _JOB_ID.fullmatch(text) is not None


LAST_JOB = "last"
"""What a user may write in place of the id of the job that was submitted last."""


def is_beginning_of_job_id(text: str) -> bool:
    """Return whether *text* is 1 to 8 hexadecimal digits, lower case."""
    return _JOB_ID_BEGINNING.fullmatch(text) is not None


def job_id_problem(text: str) -> str | None:
    """Return why *text* is not a job id, or None if it is one."""
    if _JOB_ID.fullmatch(text):
        return None
    return f"{text!r} is not a job id: 8 hexadecimal digits in lower case, such as 3f7e7681"


def checked_job_id(text: str) -> str:
    """Return *text* if it is a job id; raise `InvalidInput` otherwise."""
    if problem := job_id_problem(text):
        raise InvalidInput(problem)
    return text


def checked_system(text: str) -> str:
    """Return *text* if it can name a system; raise `InvalidInput` otherwise."""
    if _SYSTEM.fullmatch(text) is None:
        raise InvalidInput(
            f"{text!r} is not a system name: lower-case letters, digits, '-' and '_', "
            "beginning with a letter or digit, 63 at most"
        )
    return text


def checked_local_job_id(text: str) -> str:
    """Return *text* if it can be a scheduler job id; raise `InvalidInput` otherwise."""
    if _LOCAL_JOB_ID.fullmatch(text) is None:
        raise InvalidInput(f"{text!r} is not a scheduler job id")
    return text


def file_name_problem(name: str) -> str | None:
    """Return why *name* is not a plain file name, or None if it is one.

    Blanks and quotes are accepted: the user chose them, and they are quoted where they are used. Path
    separators of any system, control characters and names with a special meaning are not. Nor is a colon:
    on Windows, ``C:name`` is a file on another drive, whatever path it is joined to.
    """
    if not name or name in {".", ".."}:
        return f"{name!r} is not a file name"
    if not set("/\\:").isdisjoint(name):
        return f"{name!r} has a path separator or colon in it"
    if not name.isprintable():
        return f"{name!r} has a control or unprintable character in it"
    if len(name.encode()) > MAX_FILE_NAME_BYTES:
        return f"{name[:30]!r}… is longer than {MAX_FILE_NAME_BYTES} bytes"
    return None


def on_one_line(name: object) -> str:
    """Return *name* for a message: unchanged, or quoted if control characters would break the line."""
    text = str(name)
    return text if text.isprintable() else repr(text)


def checked_file_name(name: str) -> str:
    """Return *name* if it is a plain file name; raise `InvalidInput` otherwise."""
    if problem := file_name_problem(name):
        raise InvalidInput(problem)
    return name


@frozen(order=True)
class ClaimTag:
    """A claim on a job, ``<job id>.<n>``, which names queue entries, work directories and scheduler jobs."""

    job_id: str
    n: int

    @classmethod
    def parse(cls, text: str) -> ClaimTag:
        """Read ``<job id>.<n>``; raise `InvalidInput` for anything else."""
        match = _TAG.fullmatch(text)
        if match is None:
            raise InvalidInput(f"{text!r} is not a claim tag such as 3f7e7681.1")
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        return f"{self.job_id}.{self.n}"


_SPANS = ((172_800.0, 86_400.0, "days"), (7_200.0, 3_600.0, "h"), (120.0, 60.0, "min"), (0.0, 1.0, "s"))
"""For each unit: the number of seconds from which on it is used, its length and its name."""


def span(seconds: float) -> str:
    """Return a length of time as one number and one unit, rounded down: ``42 min``."""
    return next(f"{int(seconds // unit)} {name}" for least, unit, name in _SPANS if seconds >= least)


_UNITS = (("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units, rounded down: ``5 h 12 min``, ``42 s``."""
    whole = int(seconds)
    counts = [(whole // length, length, name) for name, length in _UNITS]
    first = next((index for index, (count, _, _) in enumerate(counts) if count), len(counts) - 1)
    parts: list[str] = []
    for _, length, name in counts[first : first + 2]:
        count, whole = divmod(whole, length)
        if count or not parts:
            parts.append(f"{count} {'day' if (name, count) == ('days', 1) else name}")
    return " ".join(parts)
