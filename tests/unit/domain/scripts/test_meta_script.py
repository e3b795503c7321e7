"""Meta jobscripts: the contents of their head, and everything that may be wrong with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.directive import RULES, is_meta
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.walltime import Walltime

HEAD = "#$ project: grp1\n#$ resource: rt_F\n#$ n_resource: 2\n"


def parsed(text: str | bytes) -> MetaScript:
    return MetaScript.parse("mjob.sh", text if isinstance(text, bytes) else text.encode())


def problems_of(text: str | bytes) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        parsed(text)
    return list(caught.value.problems)


def test_every_directive_is_read() -> None:
    script = parsed(
        "#!/bin/bash\n"
        "#$ run_on: abci\n"
        "#$ project: grp1\n"
        "#$ resource: rt_G.small\n"
        "#$ n_resource: 1\n"
        "#$ walltime: 1-12:00:00\n"
        "#$ other_opts: -m n -N 'a b'\n"
        "#$ container_img: docker://ubuntu:24.04\n"
        "#$ container_img: file:///data/a b.sif\n".replace("a b.sif", "ab.sif")
        + "echo hi\n"
    )

    assert (script.run_on, script.project, script.resource, script.n_resource) == (
        "abci",
        "grp1",
        "rt_G.small",
        1,
    )
    assert script.walltime == Walltime(36 * 3600)
    assert script.other_opts == ("-m", "n", "-N", "a b")
    assert script.container_imgs == ("docker://ubuntu:24.04", "file:///data/ab.sif")
    assert script.warnings == ()


def test_what_is_optional_may_be_left_out() -> None:
    script = parsed(HEAD + "echo hi\n")

    assert (script.run_on, script.walltime, script.other_opts, script.container_imgs) == ("", None, (), ())


@pytest.mark.parametrize(
    ("shebang", "interpreter"),
    [
        ("", "/bin/bash"),
        ("#!/usr/bin/env python3\n", "/usr/bin/env python3"),
        ("#! /bin/sh -e\n", "/bin/sh -e"),
    ],
)
def test_a_shebang_may_come_first(shebang: str, interpreter: str) -> None:
    script = parsed(shebang + HEAD + "echo hi\n")

    assert script.interpreter == interpreter
    assert script.has_shebang == bool(shebang)


def test_blank_lines_and_comments_may_stand_among_the_directives() -> None:
    text = "#!/bin/sh\n\n# about it\n#$ project: p\n\n   # more\n  #$resource :r\n#$ n_resource: 1 \necho\n"

    assert parsed(text).resource == "r"


def test_directives_are_blanked_and_nothing_else_is_changed() -> None:
    text = "#!/bin/sh\n" + HEAD + "# a comment\n#SBATCH -n 3\necho '#$ project: x'\n#$ project: late\n\xff"

    body = parsed(text.encode("latin-1")).plain_body

    assert body == b"#!/bin/sh\n\n\n\n# a comment\n#SBATCH -n 3\necho '#$ project: x'\n#$ project: late\n\xff"


def test_the_head_ends_at_the_first_command() -> None:
    text = "#$ project: p\n#$ resource: r\necho hi\n#$ n_resource: 1\n"

    assert problems_of(text) == [
        "mjob.sh: missing line '#$ n_resource: …': the directive n_resource is mandatory"
    ]


def test_all_problems_are_told_at_once_with_their_lines() -> None:
    text = (
        "#!/bin/bash\n#$ projct: x\n#$ n_resource: two\n#$ n_resource: 1\n\n#$ -l h_rt=1:00:00\n"
        "#$ walltime: 60\n#$ foo bar\n#$ Resource: x\n#$ project:\n"
    )

    told = problems_of(text)

    assert [problem.partition(": ")[0] for problem in told] == [
        *(f"mjob.sh line {number}" for number in (2, 3, 4, 6, 7, 8, 9, 10)),
        "mjob.sh",
    ]
    assert told[0] == "mjob.sh line 2: unknown directive projct; did you mean project?"
    assert told[2] == "mjob.sh line 4: n_resource is already set in line 3"
    assert "option of Grid Engine" in told[3]
    assert told[6] == "mjob.sh line 9: unknown directive Resource; did you mean resource?"
    assert told[7] == "mjob.sh line 10: project: has no value"
    assert told[8] == "mjob.sh: missing line '#$ resource: …': the directive resource is mandatory"


@pytest.mark.parametrize("name", ["project", "resource", "n_resource"])
def test_a_mandatory_directive_that_is_missing_is_named(name: str) -> None:
    text = "".join(line + "\n" for line in HEAD.splitlines() if f" {name}:" not in line)

    assert problems_of(text + "echo\n") == [
        f"mjob.sh: missing line '#$ {name}: …': the directive {name} is mandatory"
    ]


@pytest.mark.parametrize("n", ["0", "-1", "two", "1.5", "", "٣", "1 2", "99999999", "1; rm"])
def test_a_number_of_resources_is_a_number(n: str) -> None:
    [problem] = problems_of(HEAD.replace("n_resource: 2", f"n_resource: {n}"))

    assert problem.startswith("mjob.sh line 3: n_resource: ")


@pytest.mark.parametrize(
    "value",
    ["$(touch x)", "`id`", "a b", "a;b", "'a'", '"a"', "a,b=1", "-x", "a|b", "a&b", ".", "é", "a" * 200],
)
@pytest.mark.parametrize("name", ["project", "resource"])
def test_a_name_that_could_mean_more_is_refused(name: str, value: str) -> None:
    lines = [f"#$ {name}: {value}" if f" {name}:" in line else line for line in HEAD.splitlines()]

    [problem] = problems_of("\n".join(lines))

    assert f"{name}: {value!r} is not a name" in problem


@pytest.mark.parametrize("value", ["60", "10:30", "soon", "0s", "1:00:00 # one hour", "-1h"])
def test_a_walltime_has_a_unit(value: str) -> None:
    [problem] = problems_of(HEAD + f"#$ walltime: {value}\n")

    assert problem.startswith("mjob.sh line 4: walltime: ")


@pytest.mark.parametrize(
    "value", ["ubuntu", "docker:ubuntu", "ubuntu:24.04", "/data/a.sif", "docker://", "docker://a b"]
)
def test_an_image_is_named_by_its_url(value: str) -> None:
    [problem] = problems_of(HEAD + f"#$ container_img: {value}\n")

    assert problem.startswith(f"mjob.sh line 4: container_img: {value!r} is not the URL of an image")


def test_options_that_cannot_be_split_into_words_are_refused() -> None:
    [problem] = problems_of(HEAD + "#$ other_opts: -N 'a\n")

    assert problem.startswith("mjob.sh line 4: other_opts: ")
    assert "No closing quotation" in problem


@pytest.mark.parametrize("value", ["$(touch x)", "`id`", ";", "|", "$HOME", "*"])
def test_other_options_are_words_and_nothing_is_expanded(value: str) -> None:
    assert parsed(HEAD + f"#$ other_opts: -N {value}\n").other_opts[0] == "-N"
    assert parsed(HEAD + f"#$ other_opts: -N '{value}'\n").other_opts == ("-N", value)


@pytest.mark.parametrize(("value", "system"), [("abci ", "abci"), ("ABCI", "abci"), ("Kaede-2\t", "kaede-2")])
def test_a_system_is_taken_in_lower_case_without_blanks(value: str, system: str) -> None:
    script = parsed(HEAD + f"#$ run_on: {value}\n")

    assert script.run_on == system
    assert bool(script.warnings) == (value.strip() != system)


@pytest.mark.parametrize("value", ["a b", "../x", "a/b", "-x", "$(id)"])
def test_a_system_that_cannot_be_is_refused(value: str) -> None:
    assert len(problems_of(HEAD + f"#$ run_on: {value}\n")) == 1


def test_a_value_that_is_no_text_is_refused() -> None:
    [problem] = problems_of(HEAD.encode() + b"#$ other_opts: \xff\n")

    assert "not UTF-8" in problem


def test_what_is_wrong_with_any_script_is_told_too() -> None:
    told = problems_of(b"#$ project: x\r\n")

    assert any("CRLF" in problem for problem in told)


def test_a_script_of_two_megabytes_is_read() -> None:
    script = parsed(HEAD + "# padding, 40 characters to the line end.\n" * 50_000 + "echo\n")

    assert script.n_resource == 2
    assert script.plain_body.count(b"\n") == script.body.count(b"\n")


def test_lines_that_mean_nothing_are_told_and_do_not_stop_it() -> None:
    script = parsed("#!/bin/sh\n" + HEAD + "#SBATCH --time=5\necho\n  #$ walltime: 1:00:00\n")

    assert script.walltime is None
    assert [warning.partition(": ")[0] for warning in script.warnings] == ["mjob.sh line 5", "mjob.sh line 7"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#!/bin/bash\n#$ project: x\n", True),
        ("#$ walltime: 1h\n", True),
        ("#!/bin/bash\n#$ -l h_rt=1:00:00\n#$ -cwd\n", False),
        ("#$ -N a:b\n", False),
        ("#SBATCH --time=5\n# project: x\n", False),
        ("echo\n#$ project: x\n", False),
        ("#$ projct: x\n", False),
        ("", False),
    ],
)
def test_a_script_is_a_meta_jobscript_if_its_head_has_a_directive(text: str, expected: bool) -> None:
    assert is_meta(text.encode()) == expected


def read(body: bytes) -> MetaScript | None:
    """Return the script, or None if it was rejected with messages that name the place."""
    try:
        return parsed(body)
    except InvalidInput as error:
        places = [problem.startswith("mjob.sh") for problem in error.problems]
    assert all(places)
    return None


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_in_words(body: bytes) -> None:
    script = read(body)

    assert script is None or script.plain_body.count(b"\n") == body.count(b"\n")


values = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=60)


@given(st.lists(st.tuples(st.sampled_from([*RULES, "foo"]), values), max_size=8), st.booleans())
def test_any_directives_are_read_or_refused_and_lines_stay(
    directives: list[tuple[str, str]], has_shebang: bool
) -> None:
    head = "".join(f"#$ {name}: {value}\n" for name, value in directives)
    body = (("#!/bin/sh\n" if has_shebang else "") + HEAD + head + "echo $0\n").encode()
    script = read(body)

    if script is not None:
        kept = [b"" if line.lstrip().startswith(b"#$") else line for line in body.split(b"\n")]
        assert script.plain_body.split(b"\n") == kept
