"""The reader of configurations and profiles, with a small table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import ConfigProblem, InvalidInput
from cloudq.toml_tables import Entry, Key, Names, Noted, TableReader, TomlFile, one_of


def lower(text: str) -> str | Noted:
    return text if text == text.lower() else Noted(text.lower(), f"{text} is taken as {text.lower()}")


def positive(number: int) -> int:
    if number <= 0:
        raise ValueError(f"{number} is not positive")
    return number


def two_words(text: str) -> str:
    raise InvalidInput([f"{word} is wrong" for word in text.split()])


TABLE: Mapping[str, Entry] = {
    "color": Key(object, one_of("", "red", "green")),
    "oven": {
        "minutes": Key(int, positive), "degrees": Key(float), "hot": Key(bool), "words": Key(str, two_words),
    },
    "names": Names("NAME", lower, Key(str)),
    "cakes": Names("CAKE", lower, {"eggs": Key(int)}),
}  # fmt: skip


def reader_of(*texts: str) -> TableReader:
    reader = TableReader(TABLE)
    for number, text in enumerate(texts, start=1):
        reader.add_file(TomlFile.parse(f"{number}.toml", text))
    return reader


def problems(text: str) -> list[str]:
    return reader_of(text).problems


def test_a_later_file_overrides_single_keys_of_an_earlier_one() -> None:
    first = 'color = "red"\n[oven]\nminutes = 20\ndegrees = 180\n[cakes.plain]\neggs = 2\n[cakes.bare]\n'
    reader = reader_of(first, "[oven]\nminutes = 30\n[cakes.plain]\neggs = 3\n")

    assert reader.problems == []
    assert reader.values == {
        "color": "red",
        "oven": {"minutes": 30, "degrees": 180.0},
        "cakes": {"plain": {"eggs": 3}, "bare": {}},
    }


def test_texts_of_variables_and_options_pass_the_same_checks() -> None:
    reader = reader_of("[oven]\nminutes = 20\n")
    oven = TABLE["oven"]
    assert isinstance(oven, Mapping)
    for name, text in {"minutes": "5", "degrees": "1e2", "hot": "Yes"}.items():
        key = oven[name]
        assert isinstance(key, Key)
        reader.add_text(("oven", name), key, text, f"variable {name}")
        reader.add_text(("oven", name), key, "x", f"option {name}")

    assert reader.values == {"oven": {"minutes": 5, "degrees": 100.0, "hot": True}}
    assert reader.problems == [
        "option minutes: must be a whole number, not 'x'",
        "option degrees: must be a number, not 'x'",
        "option hot: must be true or false, not 'x'",
    ]


def test_all_problems_of_a_file_are_named_with_their_lines() -> None:
    text = '[oven]\nminutes = 0\nwords = "a b"\nhot = 1\n[names]\n"A" = "x"\na = "y"\n[cakes]\nplain = 2\n'

    assert problems(text) == [
        "1.toml line 2, [oven] minutes: 0 is not positive",
        "1.toml line 3, [oven] words: a is wrong",
        "1.toml line 3, [oven] words: b is wrong",
        "1.toml line 4, [oven] hot: must be true or false, not 1",
        "1.toml line 7, [names] a: a is already set",
        "1.toml line 9, [cakes] plain: must be a section, [cakes.plain]",
    ]


def test_a_changed_value_is_reported_and_is_no_problem() -> None:
    reader = reader_of('[names]\nA = "x"\n')

    assert (reader.values, reader.problems) == ({"names": {"a": "x"}}, [])
    assert reader.notices == ["1.toml line 2, [names] A: A is taken as a"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("colour = 1", "colour: unknown key; did you mean color?"),
        ("[ovens]", "ovens: unknown section; did you mean oven?"),
        ("minutes = 1", "minutes: unknown key; did you mean [oven] minutes?"),
        ("[oven]\neggs = 1", "[oven] eggs: unknown key; did you mean [cakes.CAKE] eggs?"),
        ("[cakes.plain]\nsugar = 1", "[cakes.plain] sugar: unknown key (known: eggs)"),
    ],
)
def test_an_unknown_key_comes_with_a_suggestion(text: str, hint: str) -> None:
    [problem] = problems(text)

    assert problem.partition(" line ")[2].endswith(f", {hint}")


def test_a_forbidden_value_is_not_repeated() -> None:
    reader = TableReader(TABLE, lambda name, value: "is forbidden" if "hunter2" in (name, value) else "")
    reader.add_file(
        TomlFile.parse("x", '[oven]\nwords = "hunter2"\nhunter2 = 1\n[cakes.a]\neggs = "hunter2"\n')
    )

    assert reader.problems == [
        "x line 2, [oven] words: is forbidden",
        "x line 3, [oven] hunter2: is forbidden",
        "x line 5, [cakes.a] eggs: is forbidden",
    ]


# Hostile files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "color = 0x" + "f" * 9_000,
            "1.toml line 1, color: must be one of red, green, not a number of thous",
        ),
        ("[oven]\nhot = 1" + "0" * 1_000, "1.toml line 2, [oven] hot: must be true or false, not 1000"),
        (
            "[oven]\nhot = " + "[" * 300 + "]" * 300,
            "1.toml line 2, [oven] hot: must be true or false, not [[",
        ),
        ("[x" + ".a" * 3_000 + "]", "1.toml line 1, x: unknown section (known: cakes, color, names, oven)"),
        (
            '[oven]\nhot = "' + "x" * 50_000 + '"',
            "1.toml line 2, [oven] hot: must be true or false, not 'xx",
        ),
        ('"a\\n\\u001b[31m" = 1', "1.toml, 'a\\n\\x1b[31m': unknown key (known: "),
        ('"" = 1', "1.toml line 1, '': unknown key (known: "),
    ],
    ids=["digits", "number", "lists", "tables", "text", "control characters", "empty key"],
)
def test_an_absurd_value_is_refused_in_few_printable_words(text: str, problem: str) -> None:
    [answer] = problems(text)

    assert answer.startswith(problem)
    assert len(answer) < 400
    assert answer.isprintable()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = 1\na = 2\n", "Cannot overwrite a value (at line 2"),
        ('a = "\0"', "line 1"),
        ("a = " + "[" * 5_000, "nested too deeply"),
        ("a = " + "9" * 5_000, ""),
        ("a =", "at end of document"),
    ],
    ids=["duplicate key", "NUL", "nesting", "digits", "end"],
)
def test_a_file_that_is_no_toml_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigProblem, match=r"^x\.toml: not TOML: ") as caught:
        TomlFile.parse("x.toml", text)

    assert says in str(caught.value)


values = st.recursive(
    st.text() | st.integers() | st.floats() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*TABLE, "minutes", "é"]), inner)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*TABLE, "x", ""]), values))
def test_any_content_is_read_or_refused_in_words(content: dict[str, Any]) -> None:
    reader = TableReader(TABLE)
    reader.add_file(TomlFile("x", content))

    assert reader.problems or set(reader.values) <= set(TABLE)


def test_a_file_that_is_missing_or_cannot_be_read(tmp_path: Path) -> None:
    assert TomlFile.read(tmp_path / "none.toml") is None
    with pytest.raises(ConfigProblem, match="cannot be read: Is a directory"):
        TomlFile.read(tmp_path)
    with pytest.raises(ConfigProblem, match="cannot be read: File name too long"):
        TomlFile.read(tmp_path / ("x" * 300))
