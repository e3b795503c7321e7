"""Options for qsub: cloudq interprets those that it needs as qsub does, and passes on the rest."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.schedulers.pbs.options import (
    array_argument,
    job_name,
    read_pbs_options,
    split_header_line,
)
from cloudq.adapters.schedulers.pbs.scheduler import PbsScheduler
from cloudq.adapters.schedulers.pbs.submit import plan_qsub
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import Submission


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["-J", "1-4"], {"J": "1-4"}), (["-J1-4"], {"J": "1-4"}),
        (["-hVJ1-4"], {"h": "", "V": "", "J": "1-4"}),
        (["-o", "x y"], {"o": "x y"}), (["-N", "-x"], {"N": "-x"}), (["-J1-2", "-J", "3-4"], {"J": "3-4"}),
        (["-l", "select=1:ncpus=2", "-lwalltime=5"], {"l": "walltime=5"}),
        (["-W", "block=false"], {"W": "block=false"}),
        (["-gsite"], {"g": "site"}), (["-W", "umask=33,depend=on:1"], {"W": "umask=33,depend=on:1"}),
    ],
)  # fmt: skip
def test_options_are_read_as_qsub_reads_them(words: list[str], values: dict[str, str]) -> None:
    assert read_pbs_options(words, ()).values == values
    assert read_pbs_options((), ["#PBS " + " ".join(f"'{word}'" for word in words)]).values == values


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("#PBS -N 'a b' -j oe", ["-N", "a b", "-j", "oe"]), ("#PBS\t-J1-4", ["-J1-4"]), ("#PBS", []),
        ('#PBS -A "x', ["-A", '"x']), ("#PBS -A a#b", ["-A", "a#b"]),
        (r'#PBS -A "a\b" -N c\ d', ["-A", r"a\b", "-N", "c d"]),
    ],
)  # fmt: skip
def test_header_lines_are_split_as_qsub_splits_them(line: str, words: list[str]) -> None:
    assert split_header_line(line) == words


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("-I", "-I"), ("-X", "-X"), ("-hz", "-z"), ("-C#X", "-C"), ("-uother", "-u"),
        ("--version", "--version"),
        ("-Wblock=true", "-W block=true"), ("-Wumask=33,block='TRUE'", "-W block=true"),
        ("-Winteractive=true", "-W interactive=true"), ("-Wpwd", "-W pwd"),
    ],
)  # fmt: skip
def test_options_that_block_or_only_test_are_refused_by_name_wherever_they_stand(
    option: str, named: str
) -> None:
    for words, lines in (([option], []), ([], [f"#PBS {option}"])):
        with pytest.raises(SubmitRefused, match=f"{named}: "):
            read_pbs_options(words, lines)


@pytest.mark.parametrize("words", [["other.sh"], ["-q", "a", "b"], ["--", "date"], ["-"], ["-g", "x"]])
def test_a_word_that_qsub_would_take_for_the_jobscript_is_refused(words: list[str]) -> None:
    with pytest.raises(SubmitRefused, match="jobscript"):
        read_pbs_options(words, ())


@pytest.mark.parametrize("text", ["1,3,4", "x", "4-1", ""])
def test_an_array_that_pbs_has_not_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(SubmitRefused, match="-J: "):
        read_pbs_options([f"-J{text}" if text else "-J"], ())


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SubmitRefused) as raised:
        read_pbs_options(["-I", "x"], ["#PBS -J 3-1", "#PBS -Wblock=true"])

    assert all(word in str(raised.value) for word in ("-I", "'x'", "3-1", "block"))


@given(st.lists(st.text(max_size=12), max_size=8), st.lists(st.text(max_size=30), max_size=4))
def test_whatever_is_given_is_read_or_refused(words: list[str], lines: list[str]) -> None:
    with suppress(SubmitRefused):
        assert all(read_pbs_options(words, [f"#PBS {line}" for line in lines]).values)


@pytest.mark.parametrize(
    ("array", "argument"),
    [("1-4", "1-4:1"), ("1-9:4%1", "1-9:4%1"), ("1,5,9%2", "1-9:4%2"), ("3", "3-3:1"), ("4,2", "2-4:2")],
)
def test_a_list_that_is_a_range_becomes_one(array: str, argument: str) -> None:
    assert array_argument(ArrayRange.parse(array)) == argument


def test_a_list_that_is_none_is_refused() -> None:
    with pytest.raises(SubmitRefused, match=r"FIRST-LAST\[:STEP\], not 1,3-4:1"):
        array_argument(ArrayRange.parse("1,3-4"))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("job.sh", "job.sh"), ("my job.sh", "my_job.sh"), ("-x", "j-x"), ("a" * 40, "a" * 15),
        ("ジョブ", "j___"), ("", "j"),
    ],
)  # fmt: skip
def test_a_job_has_a_name_that_every_pbs_takes(name: str, plain: str) -> None:
    assert job_name(name) == plain


# The submit command ------------------------------------------------------------------------------


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    return Submission(ClaimTag("3f7e7681", 1), tmp_path / "job_shell.sh", Path("/w"), Path("/c"))


OURS = ["-f", "-S", "/bin/bash"]
LOG = ["-j", "oe", "-o", "/c/output"]
TAG = "CLOUDQ_TAG=t3f7e7681.1"


def argv(submission: Submission, *options: str, script: str = "", array: str = "") -> list[str]:
    wanted = evolve(
        submission,
        options=options,
        header_lines=tuple(script.splitlines()),
        array=ArrayRange.parse(array) if array else None,
    )
    words = list(plan_qsub(wanted).argv)
    assert (words[0], words[1:4], words[-1]) == ("qsub", OURS, str(submission.job_shell))
    return words[4:-1]


def test_the_job_shell_writes_the_log_unless_the_user_wants_the_output_elsewhere(
    submission: Submission,
) -> None:
    assert argv(submission) == [*LOG, "-v", f"{TAG},CLOUDQ_OUTPUT=log"]
    for own in ("-ox", "-ex", "-joe", "-koe"):
        assert argv(submission, own) == [own, "-v", TAG]
        assert argv(submission, script=f"#PBS {own}") == ["-v", TAG]


def test_a_directory_that_qsub_does_not_take_is_named_from_where_it_runs(
    submission: Submission, tmp_path: Path
) -> None:
    home = tmp_path / "hömé"
    elsewhere = evolve(submission, control_dir=home / "claims" / "c", work_dir=home / "cache" / "w")

    assert argv(elsewhere)[:4] == ["-j", "oe", "-o", "../../claims/c/output"]


def test_tasks_have_their_own_files(submission: Submission) -> None:
    files = ["-j", "oe", "-o", "/c/output.^array_index^", "-v", f"{TAG},CLOUDQ_OUTPUT=log"]

    assert argv(submission, array="1-3%2") == ["-J", "1-3:1%2", *files]
    assert argv(submission, script="#PBS -J 0-3") == files
    assert argv(submission, "-J1-2", array="1-2") == [*files[:4], "-J1-2", *files[4:]]


def test_an_array_of_one_task_is_a_plain_job_that_knows_its_task(submission: Submission) -> None:
    variables = f"{TAG},CLOUDQ_OUTPUT=log,CLOUDQ_TASK=7,PBS_ARRAY_INDEX=7"

    assert argv(submission, array="7") == [*LOG, "-v", variables]


def test_a_users_variables_go_along_in_the_one_list_that_pbs_takes(submission: Submission) -> None:
    ours = f"{TAG},CLOUDQ_OUTPUT=log"

    assert argv(submission, "-v", "A='x,y',B") == [*LOG, "-v", f"{ours},A='x,y',B"]
    assert argv(submission, "-vA", "-vB", script="#PBS -v C") == [*LOG, "-v", f"{ours},B"]
    assert argv(submission, script="#PBS -v C=1") == [*LOG, "-v", f"{ours},C=1"]


def test_the_interpreter_of_the_job_shell_is_not_the_users(submission: Submission) -> None:
    assert argv(submission, "-S", "/usr/bin/python3", "-V") == [*LOG, "-V", "-v", f"{TAG},CLOUDQ_OUTPUT=log"]


def test_a_job_is_called_like_its_script_unless_the_user_says_otherwise(submission: Submission) -> None:
    named = evolve(submission, name="my job.sh")

    assert argv(named)[:2] == ["-N", "my_job.sh"]
    assert "my_job.sh" not in argv(named, script="#PBS -N other")


def test_an_array_is_learned_from_the_script_and_from_the_options(submission: Submission) -> None:
    scheduler = PbsScheduler()

    submission = evolve(submission, header_lines=("#PBS -J 0-3",))
    assert str(scheduler.plan(submission).array) == "0-3:1"
    assert str(scheduler.plan(evolve(submission, options=("-J5-7:2%1",))).array) == "5-7:2%1"
    with pytest.raises(SubmitRefused, match="contradicts array_tid 1-3"):
        scheduler.plan(evolve(submission, array=ArrayRange.parse("1-3")))
    with pytest.raises(SubmitRefused, match="one range of tasks"):
        scheduler.plan(evolve(submission, array=ArrayRange.parse("1,2,4")))
