"""Templates of options: a value is put into a word, and never becomes another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.option_template import OptionTemplate
from cloudq.domain.scripts.system_mapping import SystemMapping

FIELDS = frozenset({"resource", "n"})


def filled(template: str, **values: str) -> tuple[str, ...]:
    return OptionTemplate.parse(template, FIELDS).fill({"resource": "r", "n": "1", **values})


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("", ()),
        ("-q {resource} -l select={n}", ("-q", "gpu", "-l", "select=2")),
        ("--gres='gpu:{resource}:{n}'", ("--gres=gpu:gpu:2",)),
        ("-l '{resource} {n}'", ("-l", "gpu 2")),
        ("-v A={{x}},B={n}", ("-v", "A={x},B=2")),
        ("-x ''", ("-x", "")),
    ],
)
def test_values_stand_where_the_template_says(template: str, words: tuple[str, ...]) -> None:
    assert filled(template, resource="gpu", n="2") == words


@pytest.mark.parametrize(
    "template", ["-q {queue}", "-q {}", "-q {0}", "-q {n!r}", "-q {n:>9}", "-q {n.real}", "-q {", "-q }"]
)
def test_a_field_that_does_not_exist_is_refused(template: str) -> None:
    with pytest.raises(InvalidInput, match="-q"):
        OptionTemplate.parse(template, FIELDS)


@pytest.mark.parametrize("template", ["rt_F", "{resource}", "'' -q"])
def test_what_does_not_begin_with_an_option_is_refused(template: str) -> None:
    with pytest.raises(InvalidInput, match="is not an option"):
        OptionTemplate.parse(template, FIELDS)


@pytest.mark.parametrize("value", ["-x", "--wrap=id", "-"])
def test_a_value_that_would_be_an_option_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="taken for an option"):
        filled("-q {resource}", resource=value)


@given(st.text(max_size=50), st.text(max_size=50))
def test_no_value_ever_adds_a_word_or_an_option(resource: str, n: str) -> None:
    template = "-q {resource} -l select={n} --x={resource}:{n} {n}{resource}"
    try:
        words = filled(template, resource=resource, n=n)
    except InvalidInput:
        return

    assert len(words) == 6
    assert [word.startswith("-") for word in words] == [True, False, True, False, True, False]
    assert (words[1], words[3]) == (resource, f"select={n}")


def test_a_mapped_resource_may_be_a_template_of_options() -> None:
    mapped = SystemMapping("kaede", resource="--partition=gpu --gpus={n}").resource_options

    assert mapped is not None
    assert mapped.fill({"n": "4"}) == ("--partition=gpu", "--gpus=4")
    assert SystemMapping("kaede", resource="gpu").resource_options is None


@pytest.mark.parametrize(
    "mapping",
    [
        SystemMapping("kaede", project="-x"),
        SystemMapping("kaede", project="a\nb"),
        SystemMapping("kaede", project="a" * 2000),
        SystemMapping("kaede", resource="a\0b"),
        SystemMapping("kaede", resource="--gpus={x}"),
        SystemMapping("kaede", resource="--gpus='{n}"),
    ],
    ids=lambda mapping: f"{mapping.project}{mapping.resource}"[:12],
)
def test_a_mapping_from_anywhere_is_checked(mapping: SystemMapping) -> None:
    assert list(mapping.problems())
