"""Options for sbatch: cloudq interprets those that it needs as sbatch does, and passes on the rest."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.login_environment import login_environment
from cloudq.adapters.schedulers.slurm.options import (
    IGNORED_DEFAULTS,
    file_pattern,
    read_slurm_options,
    split_header_line,
)
from cloudq.adapters.schedulers.slurm.scheduler import SlurmScheduler
from cloudq.adapters.schedulers.slurm.submit import plan_sbatch
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import Submission


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["-a", "1-4"], {"array": "1-4"}), (["-a1-4"], {"array": "1-4"}), (["--array=1-4"], {"array": "1-4"}),
        (["--array", "1-4"], {"array": "1-4"}), (["--arr=1-4"], {"array": "1-4"}),
        (["-o", "x y"], {"output": "x y"}), (["-HOoout"], {"hold": "", "overcommit": "", "output": "out"}),
        (["--exclusive", "-p", "a"], {"exclusive": "", "partition": "a"}),
        (["--exclusive=user"], {"exclusive": "user"}),
        (["--nice", "-J", "-x"], {"nice": "", "job-name": "-x"}),
        (["--container-image=a#b"], {"container-image": "a#b"}), (["--site-flag"], {"site-flag": ""}),
        (["-a1", "--array", "2"], {"array": "2"}),
    ],
)  # fmt: skip
def test_options_are_read_as_sbatch_reads_them(words: list[str], values: dict[str, str]) -> None:
    assert read_slurm_options(words, ()).values == values


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("#SBATCH -J 'a b' # why", ["-J", "a b"]), ("#SBATCH\t--array=1-4", ["--array=1-4"]),
        ('#SBATCH --comment="x', ["--comment=\"x"]), ("#SBATCH", []),
    ],
)  # fmt: skip
def test_header_lines_are_split_as_sbatch_splits_them(line: str, words: list[str]) -> None:
    assert split_header_line(line) == words


@pytest.mark.parametrize(
    "option",
    ["--wait", "-W", "--test-only", "--wrap=date", "--wrap", "--help", "-h", "-V", "--usage", "--clusters=a",
     "-Ma", "--uid=me", "-QW", "--test", "-?", "--cluster=a", "--cluster", "-QM", "--autocomplete=x",
     "--auto=x", "--external", "--vers"],
)  # fmt: skip
def test_options_that_block_or_only_test_are_refused_by_name_wherever_they_stand(option: str) -> None:
    for words, lines in (([option], []), ([], [f"#SBATCH {option}"])):
        with pytest.raises(
            SubmitRefused,
            match=r"--(wait|test-only|wrap|help|version|usage|clusters?|uid|autocomplete|external): ",
        ):
            read_slurm_options(words, lines)


@pytest.mark.parametrize("words", [["other.sh"], ["-p", "a", "b"], ["--"], ["-"], ["--exclusive", "x"]])
def test_a_word_that_sbatch_would_take_for_the_jobscript_is_refused(words: list[str]) -> None:
    with pytest.raises(SubmitRefused, match="jobscript"):
        read_slurm_options(words, ())


@pytest.mark.parametrize("given", ["--clus=a", "--cl", "--w", "--exte", "--us", "--hel=x"])
def test_a_beginning_that_may_stand_for_a_refused_option_is_refused(given: str) -> None:
    with pytest.raises(SubmitRefused):
        read_slurm_options([given], ())


@pytest.mark.parametrize("given", ["--partition=a", "--exclusive", "--cluster-constraint=x", "--wckey=x"])
def test_an_option_that_merely_looks_like_a_refused_one_passes(given: str) -> None:
    read_slurm_options([given], ())


NEW_OPTIONS = [
    "segment=1",
    "tres-per-task=cpu:1",
    "container-id=a",
    "extra=x",
    "tres-bind=gpu:none",
    "resources=x",
    "mem-update=x",
    "runtime=1",
    "context=x",
    "container-type=a",
]


@pytest.mark.parametrize("option", NEW_OPTIONS)
def test_options_of_newer_slurms_may_have_their_value_after_a_blank(option: str) -> None:
    name, _, value = option.partition("=")

    for words, lines in (([f"--{name}", value], []), ([], [f"#SBATCH --{name} {value}"])):
        assert read_slurm_options(words, lines).values == {name: value}


def test_the_rest_of_a_word_belongs_to_an_option_that_may_have_a_value() -> None:
    assert read_slurm_options(["-koff", "-Hk"], ()).values == {"no-kill": "", "hold": ""}
    assert not read_slurm_options(["-koff"], ()).has("output")


def test_an_unknown_options_value_must_be_written_with_it() -> None:
    with pytest.raises(SubmitRefused, match="--site-option=x"):
        read_slurm_options(["--site-option", "x"], ())


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SubmitRefused) as raised:
        read_slurm_options(["--wait", "x"], ["#SBATCH -a 3-1", "#SBATCH hetjob"])

    assert all(word in str(raised.value) for word in ("--wait", "'x'", "3-1", "hetjob"))


@given(st.lists(st.text(max_size=12), max_size=8), st.lists(st.text(max_size=30), max_size=4))
def test_whatever_is_given_is_read_or_refused(words: list[str], lines: list[str]) -> None:
    with suppress(SubmitRefused):
        assert all(read_slurm_options(words, [f"#SBATCH {line}" for line in lines]).values)


def test_a_path_with_a_per_cent_sign_is_no_pattern() -> None:
    assert file_pattern("/a%j/b") == "/a%%j/b"


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
    words = list(plan_sbatch(wanted, "me", {}).argv)
    assert words[0] == "sbatch"
    return [word for word in words[1:] if word != str(submission.job_shell)]


OURS = ["--output=/c/stdout", "--error=/c/stderr", "--open-mode=append"]


def test_output_goes_where_the_log_is_unless_the_user_wants_it_elsewhere(submission: Submission) -> None:
    assert argv(submission) == ["--parsable", "--chdir=/w", *OURS]
    assert argv(submission, "-o", "x") == ["--parsable", "--chdir=/w", "-o", "x"]
    assert argv(submission, script="#SBATCH -o x -e y") == ["--parsable", "--chdir=/w"]
    assert argv(submission, "-e", "x") == ["--parsable", "--chdir=/w", "-e", "x", "--output=/c/output"]


def test_a_users_own_directory_is_kept(submission: Submission) -> None:
    assert argv(submission, "-D", "/x") == ["--parsable", "-D", "/x", *OURS, "stay"]


def test_tasks_have_their_own_files_whoever_asked_for_the_array(submission: Submission) -> None:
    tasks = ["--output=/c/stdout.%a", "--error=/c/stderr.%a", "--open-mode=append"]

    assert argv(submission, array="1,3-5%2") == ["--parsable", "--array=1,3-5:1%2", "--chdir=/w", *tasks]
    assert argv(submission, script="#SBATCH -a 0-3") == ["--parsable", "--chdir=/w", *tasks]
    assert argv(submission, "-a1-2", array="1-2") == ["--parsable", "--chdir=/w", "-a1-2", *tasks]


def test_a_job_is_called_like_its_script_unless_the_user_says_otherwise(submission: Submission) -> None:
    named = evolve(submission, name="my job.sh")

    assert "--job-name=my job.sh" in argv(named)
    assert "--job-name=my job.sh" not in argv(named, script="#SBATCH --job-name=other")


def test_an_array_is_learned_from_the_script_and_from_the_options(submission: Submission) -> None:
    scheduler = SlurmScheduler()

    submission = evolve(submission, header_lines=("#SBATCH -a 0-3",))
    assert str(scheduler.plan(submission).array) == "0-3:1"
    assert str(scheduler.plan(evolve(submission, options=("--array=5,7%1",))).array) == "5,7%1"
    with pytest.raises(SubmitRefused, match="contradicts array_tid 1-3"):
        scheduler.plan(evolve(submission, array=ArrayRange.parse("1-3")))


# Defaults in the environment ---------------------------------------------------------------------


def test_default_name_in_the_environment_counts_as_the_users_own(submission: Submission) -> None:
    submission = evolve(submission, name="job.sh")
    named = SlurmScheduler(environ={"SBATCH_JOB_NAME": "mine"}).plan(submission).command

    assert "--job-name=job.sh" in SlurmScheduler(environ={}).plan(submission).argv
    assert "--job-name" not in named


@pytest.mark.parametrize("name", IGNORED_DEFAULTS)
def test_default_that_cannot_be_followed_is_left_out_and_said(name: str) -> None:
    said: list[str] = []
    SlurmScheduler(environ={name: "x", "SBATCH_PARTITION": "debug"}, warn=said.append)

    assert login_environment({name: "x", "SBATCH_PARTITION": "debug"}) == {"SBATCH_PARTITION": "debug"}
    assert said == [f"{name} in the agent's environment is ignored: {IGNORED_DEFAULTS[name]}"]
