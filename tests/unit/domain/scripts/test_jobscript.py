"""Jobscripts: a problem that prevents a run is reported at once; a script that can run is left as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.jobscript import MAX_SCRIPT_BYTES, Jobscript, script_problems


def test_a_good_script_keeps_its_very_bytes() -> None:
    body = b"#!/bin/bash\necho \xff\xfe\n"

    assert Jobscript.checked("job.sh", body).body == body


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "job.sh: the script is empty"),
        (b" \n\n", "job.sh: the script is empty"),
        (b"echo a\0b\n", "job.sh: has NUL bytes"),
        (b"#!/bin/bash\necho a\r\necho b\r\n", "job.sh line 2: Windows line end"),
        (b"#!/bin/bash\necho a\r", "job.sh line 2: Windows line end"),
        (b"\xef\xbb\xbf#!/bin/bash\n", "job.sh line 1: begins with a byte order mark"),
        (b"#" * (MAX_SCRIPT_BYTES + 1), "job.sh: larger than 4 MiB"),
    ],
)
def test_a_script_that_could_not_run_is_refused_with_its_place(body: bytes, says: str) -> None:
    assert [problem for problem in script_problems("job.sh", body) if problem.startswith(says)]


def test_a_carriage_return_within_a_line_is_the_scripts_own_business() -> None:
    assert script_problems("job.sh", b"#!/bin/bash\nprintf 'a\rb'\n") == []


def test_all_problems_come_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        Jobscript.checked("../a b.sh", b"\0\r\n")

    assert len(caught.value.problems) == 3


def test_a_bad_name_is_shown_only_where_it_is_quoted() -> None:
    problems = script_problems("a\nb", b"")

    assert all("\n" not in problem for problem in problems)


@pytest.mark.parametrize(
    ("body", "expected"), [(b"#!/bin/sh\n", True), (b"echo\n", False), (b" #!/bin/sh", False)]
)
def test_a_shebang_is_the_first_thing_or_there_is_none(body: bytes, expected: bool) -> None:
    assert Jobscript("job.sh", body).has_shebang is expected


@given(st.binary(max_size=200))
def test_no_bytes_break_the_checks(body: bytes) -> None:
    script_problems("job.sh", body)
