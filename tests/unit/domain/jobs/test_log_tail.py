"""The last lines of a log, however its bytes are split."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.jobs.log_tail import MAX_LINE_BYTES, Lines, last_lines

LOG = st.text(alphabet="ab\n", max_size=60).map(str.encode)
CUTS = st.lists(st.integers(0, 60), max_size=8).map(sorted)


def split(log: bytes, cuts: list[int]) -> list[bytes]:
    return [log[start:end] for start, end in zip([0, *cuts], [*cuts, len(log)], strict=True)]


@given(LOG, CUTS, st.integers(0, 8))
def test_the_last_lines_are_those_of_the_whole_log(log: bytes, cuts: list[int], count: int) -> None:
    whole = log.splitlines(keepends=True)

    assert last_lines(split(log, cuts), count) == b"".join(
        whole[len(whole) - count :] if count <= len(whole) else whole
    )


@given(LOG, CUTS)
def test_lines_come_whole_and_complete(log: bytes, cuts: list[int]) -> None:
    lines = Lines()
    seen = [line for piece in split(log, cuts) for line in lines.feed(piece)]
    seen += lines.finish()

    assert b"".join(seen) == log + (b"" if not log or log.endswith(b"\n") else b"\n")
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in seen)


def test_memory_is_bounded_however_long_a_line_is() -> None:
    lines = Lines()

    assert last_lines([b"x" * 100] * 100, 1, max_bytes=150) == b"x" * 150
    assert sum(len(line) for line in lines.feed(b"y" * (MAX_LINE_BYTES + 1))) > MAX_LINE_BYTES
