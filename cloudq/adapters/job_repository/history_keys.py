"""History entries of final jobs, each stored entirely in its key (protocol section 2).

``history/<inverted ms>~<id>~<state>~<system>~<submit ms>-<start ms>~<name>``: a LIST shows the
newest first, and no object is ever read. The part after ``history/`` is one file name in a
directory store, so a long name is cut.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from cloudq.adapters.job_repository.keys import HISTORY
from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job_state import FINAL_STATES
from cloudq.domain.names import checked_file_name, checked_job_id, checked_system

MAX_COMPONENT_BYTES = 240
"""Below the 255 of common file systems, with room for a suffix that a store adds while it writes."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_LAST_MS = 10**15 - 1
_STATES = {state.value: state for state in FINAL_STATES}


def history_key(entry: HistoryEntry) -> str:
    """Return the key of *entry*."""
    times = f"{_ms(entry.time_submit)}-{_ms(entry.time_start)}"
    inverted = f"{_LAST_MS - int(_ms(entry.time_finish)):015}"
    head = "~".join(
        (inverted, checked_job_id(entry.job_id), entry.state.value, _system(entry.system), times, "")
    )
    return HISTORY + head + _cut_and_quoted(entry.name, MAX_COMPONENT_BYTES - len(head))


def parse_history_key(key: str) -> HistoryEntry | None:
    """Return the entry that *key* holds, or None for a key that `history_key` does not make."""
    parts = key.removeprefix(HISTORY).split("~")
    if not key.startswith(HISTORY) or len(parts) != 6:
        return None
    inverted, job_id, state, system, times, name = parts
    try:
        submit, _, start = times.partition("-")
        entry = HistoryEntry(
            job_id=job_id,
            name=checked_file_name(unquote(name, errors="strict")),
            state=_STATES[state],
            system=system,
            time_finish=_time(_LAST_MS - int(inverted)),
            time_submit=_time(int(submit)) if submit else None,
            time_start=_time(int(start)) if start else None,
        )
        made = history_key(entry)
    except (ValueError, KeyError, OverflowError, InvalidInput):
        return None
    # Only keys that history_key makes are entries: int() alone would accept "+1", "1_0" and other digits.
    return entry if made == key else None


def _ms(time: datetime | None) -> str:
    return "" if time is None else str(max(0, (time - _EPOCH) // _MS))


def _time(ms: int) -> datetime:
    return _EPOCH + ms * _MS


def _system(system: str) -> str:
    return checked_system(system) if system else ""


def _cut_and_quoted(name: str, room: int) -> str:
    quoted = ""
    for char in name:
        code = "%7E" if char == "~" else quote(char, safe="")
        if len(quoted) + len(code) > room:
            break
        quoted += code
    return quoted
