"""Read the output of ``qstat -F json``, which is not always valid JSON.

qstat prints the values of variables as they are: escapes that JSON does not allow, numbers such as 005
without quotes, superfluous commas. These are repaired here. Output that is still invalid is rejected.
"""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")|(?P<colon>:\s*)(?P<bare>[^\s"\[\]{},][^"\[\]{},\n]*)|,(?P<end>\s*[}\]])',
    re.DOTALL,
)
_BAD_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|(.))', re.DOTALL)
_PRINTED_BY_QSTAT = frozenset({"timestamp", "pbs_version", "pbs_server", "Jobs"})


def read_json(text: str) -> dict[str, Any] | None:
    """Return the object that qstat printed, or None if *text* does not hold one."""
    begin = text.find("{")
    if begin < 0:
        return None
    for attempt in (text[begin:], _TOKEN.sub(_mended, text[begin:])):
        try:
            answer = json.loads(attempt, strict=False)
        except (ValueError, RecursionError):
            continue
        return answer if isinstance(answer, dict) and _PRINTED_BY_QSTAT & answer.keys() else None
    return None


def _mended(match: re.Match[str]) -> str:
    if match["string"] is not None:
        return _BAD_ESCAPE.sub(
            lambda escape: escape[0] if escape[1] else _escaped(escape[2]), match["string"]
        )
    if match["end"] is not None:
        return match["end"]
    bare = match["bare"].strip()
    return match["colon"] + (bare if _is_json(bare) else json.dumps(bare))


def _escaped(char: str) -> str:
    """Return the character after a needless backslash, without that backslash, escaped for JSON."""
    return json.dumps(char)[1:-1]


def _is_json(word: str) -> bool:
    try:
        json.loads(word)
    except ValueError:
        return False
    return True
