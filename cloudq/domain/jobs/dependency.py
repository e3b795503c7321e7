"""The jobs for which a job waits."""

from __future__ import annotations

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import checked_job_id, is_job_id


def parse_hold_jid(text: str, option: str = "hold_jid") -> tuple[str, ...]:
    """Parse ``id,id,…`` as users write it; raise `InvalidInput` that names every bad id and *option*.

    Blanks around ids are ignored, a repeated id counts once, and an empty text means no dependency.
    """
    ids = _parts(text)
    problems = []
    for part in ids:
        try:
            checked_job_id(part)
        except InvalidInput as error:
            problems.append(f"{option}: {error}")
    if problems:
        raise InvalidInput(problems)
    return tuple(dict.fromkeys(ids))


def usable_ids(text: str) -> tuple[str, ...]:
    """Return the valid ids in ``id,id,…``; ignore everything else in it."""
    return tuple(part for part in dict.fromkeys(_parts(text)) if is_job_id(part))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text.strip() else []
