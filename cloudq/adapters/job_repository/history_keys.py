"""History entries of final jobs, each stored entirely in its key (protocol section 2).

``history/<inverted ms>~<id>~<state>~<system>~<submit ms>-<ready ms>-<start ms>~<exit code>~<labels>~<name>``:
a LIST shows the newest first, and no object is ever read. A directory store keeps each part between slashes
as a file name, so a field that does not fit follows after ``/`` instead of ``~``, and a long name is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from cloudq.adapters.job_repository.keys import HISTORY
from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job_state import FINAL_STATES
from cloudq.domain.jobs.labels import label_problem
from cloudq.domain.names import checked_file_name, checked_job_id, checked_system

MAX_COMPONENT_BYTES = 240
"""Below the 255 of common file systems, with room for a suffix that a store adds while it writes."""
MAX_KEY_BYTES = 800
"""Below the 1,024 that stores accept, with room for the prefix of the bucket."""
ROOM_FOR_NAME_BYTES = 60
"""A name that would have less room begins another component of the key."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_LAST_MS = 10**15 - 1
_STATES = {state.value: state for state in FINAL_STATES}
_SAFE_IN_LABELS = str.maketrans("/:@+", "!'()")
"""Every store accepts these characters in a key, and a percent code would triple the length of a label."""
_AS_IN_LABELS = str.maketrans("!'()", "/:@+")


def history_key(entry: HistoryEntry) -> str:
    """Return the key of *entry*."""
    times = (_ms(time) for time in (entry.time_submit, entry.time_ready, entry.time_start))
    exit_code = "" if entry.exit_code is None else str(entry.exit_code)
    labels = (label.translate(_SAFE_IN_LABELS) for label in entry.labels)
    return _joined([*_common(entry), "-".join(times), exit_code, *labels], entry.name)


def parse_history_key(key: str) -> HistoryEntry | None:
    """Return the entry that *key* holds, or None for a key that `history_key` does not make.

    Keys of agents that recorded neither exit code nor labels are entries, too.
    """
    if not key.startswith(HISTORY):
        return None
    fields = key.removeprefix(HISTORY).replace("/", "~").split("~")
    try:
        entry, make = (_entry_of_old(fields), _old_key) if len(fields) == 6 else (_entry(fields), history_key)
        made = make(entry)
    except (ValueError, KeyError, OverflowError, InvalidInput):
        return None
    # Only keys that cloudq makes are entries: int() alone would accept "+1", "1_0" and other digits.
    return entry if made == key else None


def _entry(fields: Sequence[str]) -> HistoryEntry:
    inverted, job_id, state, system, times, exit_code, *labels, name = fields
    submit, ready, start = map(_time_or_none, times.split("-"))
    return HistoryEntry(
        job_id=job_id,
        name=checked_file_name(unquote(name, errors="strict")),
        state=_STATES[state],
        system=system,
        time_finish=_time(_LAST_MS - int(inverted)),
        time_submit=submit,
        time_ready=ready,
        time_start=start,
        exit_code=int(exit_code) if exit_code else None,
        labels=tuple(map(_label, labels)),
    )


def _entry_of_old(fields: Sequence[str]) -> HistoryEntry:
    """Return the entry of a key without exit code, labels and ``time_ready``."""
    inverted, job_id, state, system, times, name = fields
    submit, start = times.split("-")
    return _entry((inverted, job_id, state, system, f"{submit}--{start}", "", name))


def _old_key(entry: HistoryEntry) -> str:
    return _joined([*_common(entry), f"{_ms(entry.time_submit)}-{_ms(entry.time_start)}"], entry.name)


def _common(entry: HistoryEntry) -> tuple[str, ...]:
    inverted = f"{_LAST_MS - int(_ms(entry.time_finish)):015}"
    system = checked_system(entry.system) if entry.system else ""
    return inverted, checked_job_id(entry.job_id), entry.state.value, system


def _joined(fields: Sequence[str], name: str) -> str:
    """Return the key of *fields* and *name*, in components that every store accepts."""
    key, component = HISTORY, ""
    for field in fields:
        if len(component) + len(field) + 1 > MAX_COMPONENT_BYTES:
            key, component = f"{key}{component[:-1]}/", ""
        component += f"{field}~"
    if len(component) + ROOM_FOR_NAME_BYTES > MAX_COMPONENT_BYTES:
        key, component = f"{key}{component[:-1]}/", ""
    room = min(MAX_COMPONENT_BYTES, MAX_KEY_BYTES - len(key)) - len(component)
    return key + component + _cut_and_quoted(name, max(ROOM_FOR_NAME_BYTES, room))


def _ms(time: datetime | None) -> str:
    return "" if time is None else str(max(0, (time - _EPOCH) // _MS))


def _time(ms: int) -> datetime:
    return _EPOCH + ms * _MS


def _time_or_none(ms: str) -> datetime | None:
    return _time(int(ms)) if ms else None


def _label(text: str) -> str:
    label = text.translate(_AS_IN_LABELS)
    if problem := label_problem(label):
        raise InvalidInput(problem)
    return label


def _cut_and_quoted(name: str, room: int) -> str:
    quoted = ""
    for char in name:
        code = "%7E" if char == "~" else quote(char, safe="")
        if len(quoted) + len(code) > room:
            break
        quoted += code
    return quoted
