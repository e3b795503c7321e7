"""Options for qsub: cloudq interprets those that it needs as qsub does, and passes on the rest."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.schedulers.grid_engine.options import (
    job_name,
    read_grid_engine_options,
    split_header_line,
)
from cloudq.adapters.schedulers.grid_engine.scheduler import GridEngineScheduler
from cloudq.adapters.schedulers.grid_engine.submit import plan_qsub
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import Submission


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["-t", "1-4", "-tc", "2"], {"t": "1-4", "tc": "2"}), (["-N", "-x"], {"N": "-x"}),
        (["-pe", "smp", "4", "-cwd"], {"pe": "smp", "cwd": ""}), (["-p", "-10"], {"p": "-10"}),
        (["-g", "group", "-V"], {"g": "group", "V": ""}), (["-site"], {"site": ""}),
        (["-binding", "set", "linear:2", "-h"], {"binding": "set", "h": ""}),
        (["-sync", "n", "-b", "no", "-w", "e", "-now", "n"], {"sync": "n", "b": "no", "w": "e", "now": "n"}),
        (["-o", "a", "-o", "b"], {"o": "b"}),
    ],
)  # fmt: skip
def test_options_are_read_as_qsub_reads_them(words: list[str], values: dict[str, str]) -> None:
    options = read_grid_engine_options(words, ())

    assert options.values == values
    assert options.words == tuple(words)


@pytest.mark.parametrize(
    ("line", "words", "is_clear"),
    [
        ("#$ -N name#d # why -j y", ["-N", "name"], True), ("#$-ac x=1", ["-ac", "x=1"], True),
        ("#$\t-ac y='a b'", ["-ac", "y=a b"], True), ('#$ -j y -N "a b" ', ["-j", "y", "-N", "a b"], True),
        ('#$ -N "abc" -j y', ["-N", "abc -j y"], False),
        ("#$ -l h_rt='1' -t 1-3", ["-l", "h_rt=1 -t 1-3"], False),
        ('#$ -N "ab', ["-N", "ab"], False), ("#$", [], True),
    ],
)  # fmt: skip
def test_lines_are_split_as_qsub_splits_them(line: str, words: list[str], is_clear: bool) -> None:
    assert split_header_line(line) == (words, is_clear)


def test_a_line_that_qsub_would_misread_is_refused() -> None:
    with pytest.raises(SubmitRefused, match=r"#\$ -A 'a b' -t 1-3: .* a separate line"):
        read_grid_engine_options((), ["#$ -A 'a b' -t 1-3"])


@pytest.mark.parametrize(
    "option",
    ["-sync y", "-sync x", "-b y", "-b yes", "-verify", "-help", "-w v", "-w p", "-now y", "-@ file",
     "-C %%", "-clear"],
)  # fmt: skip
def test_options_that_block_or_only_test_are_refused_by_name_wherever_they_stand(option: str) -> None:
    for words, lines in ((option.split(), []), ([], [f"#$ {option}"])):
        with pytest.raises(SubmitRefused, match=rf"{option}: \w+"):
            read_grid_engine_options(words, lines)


@pytest.mark.parametrize("words", [["other.sh"], ["-q", "a", "b"], ["-"], ["-cwd", "x"], ["-g", "a", "b"]])
def test_a_word_that_qsub_would_take_for_the_jobscript_is_refused(words: list[str]) -> None:
    with pytest.raises(SubmitRefused, match="jobscript"):
        read_grid_engine_options(words, ())


@pytest.mark.parametrize("words", [["-N"], ["-cwd", "-o"], ["-t"]])
def test_an_option_without_its_value_is_refused_for_it_would_take_the_next_word(words: list[str]) -> None:
    with pytest.raises(SubmitRefused, match=f"{words[-1]} has no value"):
        read_grid_engine_options(words, ())


@pytest.mark.parametrize("path", ["python3", "host:/bin/sh", "/bin/sh,/bin/ksh", "/a b"])
def test_an_interpreter_is_one_absolute_path(path: str) -> None:
    with pytest.raises(SubmitRefused, match="-S"):
        read_grid_engine_options(["-S", path], ())


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SubmitRefused) as raised:
        read_grid_engine_options(["-verify", "x"], ["#$ -t 3-1", "#$ -tc many"])

    assert all(word in str(raised.value) for word in ("-verify", "'x'", "3", "'many'"))


@given(st.lists(st.text(max_size=12), max_size=8), st.lists(st.text(max_size=30), max_size=4))
def test_whatever_is_given_is_read_or_refused(words: list[str], lines: list[str]) -> None:
    with suppress(SubmitRefused):
        options = read_grid_engine_options(words, [f"#$ {line}" for line in lines])
        assert options.array is None or len(options.array)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("job.sh", "job.sh"), ("1 good job.sh", "_1_good_job.sh"), ("a/b:c@d", "a_b_c_d"), ("café", "caf_"),
     ("-x", "_-x")],
)  # fmt: skip
def test_a_job_is_called_what_grid_engine_takes_for_a_name(name: str, expected: str) -> None:
    assert job_name(name) == expected


# The submit command ------------------------------------------------------------------------------


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    return Submission(ClaimTag("3f7e7681", 1), tmp_path / "job_shell.sh", Path("/w"), Path("/c"))


def argv(submission: Submission, *options: str, script: str = "", array: str = "") -> list[str]:
    wanted = evolve(
        submission,
        options=options,
        header_lines=tuple(script.splitlines()),
        array=ArrayRange.parse(array) if array else None,
    )
    words = list(plan_qsub(wanted, "me").argv)
    own = ["-ac", "cloudq=3f7e7681.1", "-S", "/bin/bash", str(submission.job_shell)]
    assert words[:2] == ["qsub", "-terse"]
    start = words.index("-ac", len(words) - 6)
    assert words[start : start + 5] == own
    return [*words[2:start], *words[start + 5 :]]


HERE = ["-wd", "/w"]
OURS = ["-o", "/c/stdout", "-e", "/c/stderr"]


def test_output_goes_where_the_log_is_unless_the_user_wants_it_elsewhere(submission: Submission) -> None:
    assert argv(submission) == [*HERE, *OURS]
    assert argv(submission, "-o", "x") == [*HERE, "-o", "x", "-e", "/c/stderr"]
    assert argv(submission, script="#$ -o x\n#$ -e y") == HERE
    assert argv(submission, "-j", "y") == [*HERE, "-j", "y", *OURS]


def test_a_log_whose_path_qsub_would_misread_is_written_by_the_job_shell(submission: Submission) -> None:
    for path in ("/my home", "/a,b", "/a:b", "/$HOME"):
        nowhere = ["-o", "/dev/null", "-e", "/dev/null"]
        assert argv(evolve(submission, control_dir=Path(path))) == [*HERE, *nowhere]


def test_a_work_directory_that_grid_engine_would_expand_is_left_to_the_job_shell(
    submission: Submission,
) -> None:
    assert argv(evolve(submission, work_dir=Path("/$HOME/w"))) == OURS
    assert argv(evolve(submission, work_dir=Path("/a b,c:d"))) == ["-wd", "/a b,c:d", *OURS]


def test_a_users_own_directory_is_kept(submission: Submission) -> None:
    assert argv(submission, "-wd", "/x") == ["-wd", "/x", *OURS, "stay"]
    assert argv(submission, "-cwd") == ["-cwd", *OURS]


def test_the_interpreter_of_the_script_is_not_the_job_shells(submission: Submission) -> None:
    assert argv(submission, "-S", "/usr/bin/python3", "-r", "n") == [*HERE, "-r", "n", *OURS]


def test_tasks_have_their_own_files_whoever_asked_for_the_array(submission: Submission) -> None:
    tasks = ["-o", "/c/stdout.$TASK_ID", "-e", "/c/stderr.$TASK_ID"]

    assert argv(submission, array="1-9:4%2") == [*HERE, "-t", "1-9:4", "-tc", "2", *tasks]
    assert argv(submission, script="#$ -t 1-3") == [*HERE, *tasks]
    assert argv(submission, "-t", "1-2", array="1-2%1") == [*HERE, "-tc", "1", "-t", "1-2", *tasks]
    assert argv(submission, "-tc", "3", array="1-2%1") == [*HERE, "-t", "1-2:1", "-tc", "3", *tasks]
    assert argv(submission, array="5") == [*HERE, "-t", "5-5:1", *tasks]


def test_a_job_is_called_like_its_script_unless_the_user_says_otherwise(submission: Submission) -> None:
    named = evolve(submission, name="my job.sh")

    assert argv(named)[:2] == ["-N", "my_job.sh"]
    assert "-N" not in argv(named, script="#$ -N other")


def test_an_array_is_learned_from_the_script_and_from_the_options(submission: Submission) -> None:
    scheduler = GridEngineScheduler(elapsed=lambda: 0.0)

    submission = evolve(submission, header_lines=("#$ -t 1-3 -tc 2",))
    assert str(scheduler.plan(submission).array) == "1-3:1%2"
    assert str(scheduler.plan(evolve(submission, options=("-t", "5", "-tc", "0"))).array) == "5"
    with pytest.raises(SubmitRefused, match="contradicts array_tid 1-4"):
        scheduler.plan(evolve(submission, array=ArrayRange.parse("1-4")))


@pytest.mark.parametrize(("array", "instead"), [("1,3,5", "write 1-5:2"), ("1,3,8", "LAST:STEP")])
def test_lists_of_tasks_are_refused_with_the_reason(submission: Submission, array: str, instead: str) -> None:
    with pytest.raises(SubmitRefused, match=f"Grid Engine takes one range of tasks.*{instead}"):
        argv(submission, array=array)
    with pytest.raises(SubmitRefused, match="Grid Engine takes one range of tasks"):
        argv(submission, "-t", array)
