"""The words of --submit_opt: grouped by quotes, never expanded, never given to a shell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.submit_options import join_options, split_options

words = st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20), max_size=8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("   ", ()),
        ("-g GROUP -l rt_F=1", ("-g", "GROUP", "-l", "rt_F=1")),
        ('--comment="a b"', ("--comment=a b",)),
        ("--comment='a \"b\"' -n 1", ('--comment=a "b"', "-n", "1")),
        (
            "$HOME `id` $(id) ; rm * | & > x # y",
            ("$HOME", "`id`", "$(id)", ";", "rm", "*", "|", "&", ">", "x", "#", "y"),
        ),
        ("--comment=全角　空白", ("--comment=全角　空白",)),
        ('""', ("",)),
    ],
)
def test_quotes_group_and_nothing_is_expanded(text: str, expected: tuple[str, ...]) -> None:
    assert split_options(text) == expected


@pytest.mark.parametrize("text", ['--comment="a b', "it's", "a\\"])
def test_an_unclosed_quote_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be split into words"):
        split_options(text)


@pytest.mark.parametrize(
    "char", ["\n", "\r", "\0", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\udc80"]
)
def test_a_line_break_or_control_character_is_refused(char: str) -> None:
    with pytest.raises(InvalidInput, match="line break or control character"):
        split_options(f"-N a{char}b")


@given(words)
def test_joined_words_split_into_the_same_words(options: list[str]) -> None:
    assert split_options(join_options(options)) == tuple(options)


@given(st.text(max_size=60))
def test_no_text_leads_to_anything_but_words_or_a_refusal(text: str) -> None:
    try:
        options = split_options(text)
    except InvalidInput:
        return

    assert split_options(join_options(options)) == options
