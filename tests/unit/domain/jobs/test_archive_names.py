"""Names in archives: two files never get the same name, and each gets its original name back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.jobs.archive_names import decoded, encoded, for_windows, leads_outside

NAMES = st.binary(min_size=1, max_size=12) | st.lists(
    st.sampled_from([b"%", b"2", b"5", b"E", b"9", b"\xe9", b"\xc3\xa9", b"\xc3", b"a", b"\n", b":"])
).map(b"".join)


@given(NAMES)
def test_every_name_comes_back(raw: bytes) -> None:
    assert decoded(encoded(raw)) == raw
    encoded(raw).encode()  # the result is valid text


@given(NAMES, NAMES)
def test_two_names_never_become_one(one: bytes, other: bytes) -> None:
    assert (encoded(one) == encoded(other)) == (one == other)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"plain", "plain"),
        ("größe 1:2\n".encode(), "größe 1:2\n"),
        (b"r\xe9sultat", "r%E9sultat"),
        (b"r%E9sultat", "r%25E9sultat"),
        (b"100%25", "100%2525"),
        (b"a%20b 50%", "a%20b 50%"),
    ],
)
def test_only_what_is_no_text_or_looks_encoded_changes(raw: bytes, name: str) -> None:
    assert encoded(raw) == name


PARTS = st.text(st.sampled_from('ab%:35C ."*\n\\') | st.characters(codec="utf-8"), min_size=1, max_size=8)


@given(PARTS, PARTS)
def test_two_names_stay_apart_on_windows(one: str, other: str) -> None:
    assert (for_windows(one) == for_windows(other)) == (one == other)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("run:1", "run%3A1"), ("a?b", "a%3Fb"), ("blank ", "blank%20"), ("dot.", "dot%2E"),
        ("con", "%63on"), ("NUL.txt", "%4EUL.txt"), ("a%3Ab", "a%253Ab"), ("console", "console"),
    ],
)  # fmt: skip
def test_windows_gets_names_that_it_takes(part: str, name: str) -> None:
    assert for_windows(part) == name


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", "/etc/passwd"), ("a", ".."), ("a", "../x"), ("d/a", "../../x"), ("a", ""), ("a", "b\0"),
        ("a", "b/../../x"), ("a", "b/.."), ("d/a", ".././../x"), ("a", "./../x"),
    ],
)  # fmt: skip
def test_a_link_that_may_lead_outside_is_known(path: str, target: str) -> None:
    assert leads_outside(path, target)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", "b"),
        ("a", "."),
        ("a", "b/c"),
        ("d/a", "../b"),
        ("d/e/a", ".././../x"),
        ("a", "b//c/"),
        ("a", "..b"),
    ],
)
def test_a_link_within_the_tree_is_known(path: str, target: str) -> None:
    assert not leads_outside(path, target)
