"""Arguments and variables of scripts, and the lines of a file with arguments."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.arguments import (
    MAX_BYTES,
    MAX_LINE_BYTES,
    checked_arguments,
    checked_lines,
    lines_text,
    read_lines,
    tasks_of_lines,
)
from cloudq.domain.jobs.environment import checked_environment
from cloudq.domain.scripts.array_range import MAX_TASKS, ArrayRange

one_line_words = st.lists(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\n"), max_size=20),
    min_size=1,
    max_size=5,
).map(tuple)


def problems_of(error: pytest.ExceptionInfo[InvalidInput]) -> tuple[str, ...]:
    return error.value.problems


class TestLines:
    def test_words_are_quoted_as_for_a_shell(self) -> None:
        text = "a 'b c' \"d\" e\\ f\n\n  # a comment\r\n--lr 0.1 # no comment\r\n"

        assert read_lines(text, "params") == (("a", "b c", "d", "e f"), ("--lr", "0.1", "#", "no", "comment"))

    def test_nothing_is_expanded(self) -> None:
        assert read_lines("$HOME `id` *.txt ~ a;b\n", "params") == (("$HOME", "`id`", "*.txt", "~", "a;b"),)

    def test_all_wrong_lines_are_reported_with_their_numbers(self) -> None:
        with pytest.raises(InvalidInput) as error:
            read_lines(f"good\n'open\n\nfine\nnul \0\n{'x' * (MAX_LINE_BYTES + 1)}\n", "params.txt")

        assert problems_of(error) == (
            "params.txt line 2: cannot be split into words: No closing quotation",
            "params.txt line 5: a word has a NUL character in it",
            f"params.txt line 6: longer than {MAX_LINE_BYTES} bytes",
        )

    @given(st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), max_size=20))
    def test_a_line_is_split_as_shlex_does(self, line: str) -> None:
        try:
            expected = tuple(shlex.split(line.strip()))
        except ValueError:
            assume(False)
        assume(expected and "\n" not in line and not line.strip().startswith("#"))

        assert read_lines(line, "it") == (expected,)

    @pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
    def test_a_file_without_a_line_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInput, match=r"^params: has no line with arguments$"):
            read_lines(text, "params")

    @given(st.lists(one_line_words, min_size=1, max_size=10))
    def test_lines_come_back_as_they_were_written(self, lines: list[tuple[str, ...]]) -> None:
        text = lines_text(lines)

        assert read_lines(text, "it") == tuple(lines)
        assert text.count("\n") == len(lines)

    def test_a_word_with_a_line_break_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="task 2: a word has a line break"):
            checked_lines([["a"], ["b\nc"]])

    def test_a_task_has_at_least_one_argument(self) -> None:
        with pytest.raises(InvalidInput, match="task 1: there are none"):
            checked_lines([[], ["b"]])

    def test_there_are_no_more_lines_than_an_array_has_tasks(self) -> None:
        with pytest.raises(InvalidInput, match=f"{MAX_TASKS} tasks at most"):
            checked_lines([["a"]] * (MAX_TASKS + 1))

    def test_all_lines_together_have_a_limit(self) -> None:
        with pytest.raises(InvalidInput, match="larger than 4 MiB"):
            checked_lines([["x" * 60_000]] * 70)


class TestTasks:
    def test_every_line_is_a_task(self) -> None:
        assert str(tasks_of_lines(10_000, None)) == "1-10000:1"
        assert str(tasks_of_lines(1, None)) == "1"

    def test_a_range_chooses_lines(self) -> None:
        wanted = ArrayRange.parse("2-8:2%4")

        assert tasks_of_lines(8, wanted) == wanted

    def test_a_task_without_a_line_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="only 7 lines of arguments"):
            tasks_of_lines(7, ArrayRange.parse("2-8:2"))


class TestArguments:
    def test_any_text_is_an_argument(self) -> None:
        words = ["", "a b", "'\"\\`$(id)", "two\nlines", "é", "-"]

        assert checked_arguments(words) == tuple(words)

    def test_what_no_program_can_get_is_refused(self) -> None:
        with pytest.raises(InvalidInput) as error:
            checked_arguments(["a\0b", "fine", "\udcff"])

        assert problems_of(error) == ("argument 1 has a NUL character in it", "argument 3 is not valid UTF-8")

    def test_arguments_have_a_limit(self) -> None:
        with pytest.raises(InvalidInput, match="more than"):
            checked_arguments(["é" * (MAX_BYTES // 2 + 1)])
        with pytest.raises(InvalidInput, match="more than"):
            checked_environment([f"X={'é' * (MAX_BYTES // 2)}"])


class TestEnvironment:
    def test_a_later_value_replaces_an_earlier_one(self) -> None:
        assert checked_environment(["A=1", "B=x=y\n", "A="]) == ("A=", "B=x=y\n")

    @pytest.mark.parametrize(
        "name",
        ["PATH", "SYSTEM", "ARY_TASK_ID", "CLOUDQ_HOME", "cq_script", "CQ_X", "SLURM_JOB_ID", "PBS_JOBID",
         "SGE_TASK_ID", "BASH_ENV", "LD_PRELOAD", "IFS", "UID", "SHELLOPTS", "CONTAINER_IMG0"],
    )  # fmt: skip
    def test_names_that_others_set_are_refused(self, name: str) -> None:
        with pytest.raises(
            InvalidInput, match=f"variable {name} is set by cloudq, the shell or the scheduler"
        ):
            checked_environment([f"{name}=x"])

    def test_all_problems_are_reported(self) -> None:
        with pytest.raises(InvalidInput) as error:
            checked_environment(["A", "1A=x", "B-C=x", "=x", "D=\0"])

        assert len(problems_of(error)) == 5
        assert problems_of(error)[0] == "variable 'A' has no '=': write it as NAME=value"
