"""The search for the line of a key in a TOML file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.toml_tables.lines import find_lines, line_of

TEXT = '''\
top = 1
[store] # words
  bucket = "a = b"
"quoted key" = 1
[projects . "my project"]
abci = "x"
long = """
[agent]
name = 1
"""
a.b.c = 2
inline = { x = 1 }
[[list]]
item = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 1),
        (("store",), 2),
        (("store", "bucket"), 3),
        (("store", "quoted key"), 4),
        (("projects",), 5),
        (("projects", "my project", "abci"), 6),
        (("projects", "my project", "long"), 7),
        (("agent",), None),
        (("projects", "my project", "a", "b", "c"), 11),
        (("projects", "my project", "inline", "x"), 12),
        (("list", "item"), 14),
        (("nowhere", "at all"), None),
    ],
)
def test_a_key_is_found_on_its_line_or_at_what_encloses_it(path: tuple[str, ...], line: int | None) -> None:
    assert line_of(find_lines(TEXT), path) == line


@given(st.text(max_size=200))
def test_no_text_breaks_the_search(text: str) -> None:
    assert all(1 <= line <= text.count("\n") + 1 for line in find_lines(text).values())
