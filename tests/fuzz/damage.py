"""Damage the data that cloudq wrote: replace values with others that cloudq never writes there."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

DEEP: Any = json.loads("[" * 60 + "]" * 60)
WORDS = (
    "", ".", "..", "/", "../../evil", "/etc/passwd", "a/b", "C:x", "-rf", "$(touch /tmp/x)", "a\nb", "a\x00b",
    "\x1b]0;owned\x07", "\x1b[2J", "\u202egnp.exe", "\u2028", "x" * 300, "٣", "²", "1e5", "0x10", "00000000",
    "deadbeef", "DEADBEEF", "1-999999999", "1-75000", "0", "1,1", "1-4%0", "beta", "alpha", "DONE", "RUN",
    "ERROR", "INIT", "DELETING", "run", "cancel", "release", "1.0", "1.9999", "2.0", "meta", "local",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2026-01-31T12:00:00.000Z", "2026-02-30T00:00:00Z",
    "999999999999999~00000000~DONE~alpha~-~x",
)  # fmt: skip
NUMBERS = (-1, 0, 1, 2, 255, 256, 75_001, 999_999, 1_000_000, 2**31, 2**63, 10**18, 10**18 + 1, 10**400)
VALUES: tuple[Any, ...] = (
    None, True, False, *NUMBERS, -0.0, 1.5, 1e300, *WORDS, [], {}, [[]], {"a": {}}, [None], [""], DEEP,
    ["alpha"], ["beta", "alpha"], ["00000000"] * 3, [{"ids": "1", "state": "DONE"}],
    [{"ids": "1-75000", "state": "RUN", "exit_code": None}] * 2, [{"state": "DONE", "time": "x"}],
)  # fmt: skip
RAW = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 5000, b'"\\ud800"', b'"\\u0000"', b'"\xff\xfe"',
    b"'a'", b"[" * 5000, b'{"a":1,"a":2}', b"tru", b"\xef\xbb\xbf1", b"//x\n1", b"1 2", b"0x10", b"\x00", b"",
)  # fmt: skip
"""Text in place of a JSON value that is not valid JSON, or that a reader cannot use."""

_PLACEHOLDER = "the value to be replaced"

values = st.sampled_from(VALUES) | st.text(max_size=20) | st.integers()


def places(record: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside *record*."""
    inside = record.items() if isinstance(record, dict) else enumerate(record)
    for name, value in inside:
        yield (*at, name)
        if isinstance(value, dict | list):
            yield from places(value, (*at, name))


@st.composite
def damaged_json(draw: st.DrawFn, body: bytes) -> bytes:
    """Draw the record *body* with up to four values changed, dropped, moved or replaced with invalid JSON."""
    record = json.loads(body)
    raw: bytes | None = None
    for _ in range(draw(st.integers(1, 4))):
        everywhere = list(places(record))
        if not everywhere:
            break
        *above, last = draw(st.sampled_from(everywhere))
        holder = _at(record, above)
        match draw(st.sampled_from(["value", "value", "value", "drop", "swap", "add", "raw"])):
            case "drop":
                del holder[last]
            case "swap":
                holder[last] = copy.deepcopy(_at(record, draw(st.sampled_from(everywhere))))
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=8))] = copy.deepcopy(draw(values))
            case "raw":
                holder[last], raw = _PLACEHOLDER, draw(st.sampled_from(RAW))
            case _:
                holder[last] = copy.deepcopy(draw(values))
    text = json.dumps(record).encode()
    return text if raw is None else text.replace(json.dumps(_PLACEHOLDER).encode(), raw)


@st.composite
def damaged_bytes(draw: st.DrawFn, body: bytes) -> bytes:
    """Draw *body* with up to four stretches cut out, repeated, overwritten or inserted."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.sampled_from([0, 1, 2, 4, 8, 64, 100_000])))
        new = draw(st.binary(max_size=8) | st.sampled_from([*RAW, body[start:end] * 2]))
        body = body[:start] + new + body[end:]
    return body


def damaged(body: bytes) -> st.SearchStrategy[bytes]:
    """Draw either of the two, or unrelated bytes."""
    anything = st.binary(max_size=40) | st.sampled_from(RAW)
    try:
        record = json.loads(body)
        list(places(record) if isinstance(record, dict | list) else ())
    except (ValueError, RecursionError):
        return damaged_bytes(body) | anything
    if not isinstance(record, dict | list):
        return damaged_bytes(body) | anything
    return damaged_json(body) | damaged_json(body) | damaged_bytes(body) | anything


@st.composite
def damaged_text(draw: st.DrawFn, text: str, alphabet: str) -> str:
    """Draw *text*, a command's output, with lines and characters lost, doubled, moved or replaced."""
    for _ in range(draw(st.integers(1, 5))):
        lines = text.split("\n")
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["cut", "char", "char", "double", "move", "drop", "piece"])):
            case "cut":
                text = text[: draw(st.integers(0, len(text)))]
                continue
            case "double":
                lines.insert(place, lines[place])
            case "drop":
                del lines[place]
            case "move":
                lines.append(lines.pop(place))
            case "char":
                at = draw(st.integers(0, len(lines[place])))
                drop = draw(st.integers(0, 3))
                odd = draw(st.text(st.sampled_from(alphabet), max_size=4))
                lines[place] = lines[place][:at] + odd + lines[place][at + drop :]
            case _:
                lines[place] = draw(st.text(max_size=20))
        text = "\n".join(lines)
    return text


def _at(record: Any, path: Any) -> Any:
    for step in path:
        try:
            record = record[step]
        except (KeyError, IndexError, TypeError):
            return None
    return record
