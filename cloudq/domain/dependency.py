"""Which jobs a job waits for."""

from __future__ import annotations

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import is_job_id


def parse_hold_jid(text: str) -> tuple[str, ...]:
    """Read ``id,id,…`` as users write it; raise `InvalidInput` that names every bad id.

    Blanks around ids are ignored, an id given twice counts once, an empty text holds for none.
    """
    ids = [part.strip() for part in text.split(",")] if text.strip() else []
    bad = [part for part in ids if not is_job_id(part)]
    if bad:
        raise InvalidInput(
            [f"hold_jid: {part!r} is not a job id: 8 hexadecimal digits, such as 3f7e7681" for part in bad]
        )
    return tuple(dict.fromkeys(ids))
