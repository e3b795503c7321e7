"""Output of a real OpenPBS 23.06 is read correctly (``tests/cases/pbs``)."""

from __future__ import annotations

import json
import re

import pytest

from cloudq.adapters.process import Finished
from cloudq.adapters.schedulers.pbs.lookup import PbsLookup
from cloudq.adapters.schedulers.pbs.parse import JobRows, parse_qstat
from cloudq.adapters.schedulers.pbs.states import is_only_about_ended_jobs, read_qsub_answer, status_of
from cloudq.domain.errors import (
    SchedulerProblem,
    SchedulerUnavailable,
    SubmitDeferred,
    SubmitRefused,
    SubmitUncertain,
)
from cloudq.domain.jobs.job_state import JobState as S
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from tests.parts.pbs_transcripts import OWNER, Transcript, all_of, transcript

QUEUED, RUNNING, ENDED = Life.QUEUED, Life.RUNNING, Life.ENDED


def rows_of(answer: Transcript) -> dict[str, JobRows]:
    jobs = parse_qstat(answer.stdout, OWNER)
    assert jobs is not None
    return jobs


def tasks_of(answer: Transcript, scheduler_job_id: str) -> dict[int | None, SchedulerStatus]:
    found = {task: status_of(row) for task, row in rows_of(answer)[scheduler_job_id].tasks.items()}
    return {task: status for task, status in found.items() if status is not None}


def verdicts(tasks: dict[int | None, SchedulerStatus]) -> dict[int | None, object]:
    return {
        task: (each.verdict, each.exit_code, each.never_ran) if each.life is ENDED else each.life
        for task, each in tasks.items()
    }


# Arrays ------------------------------------------------------------------------------------------

NEVER_RAN = (S.DELETED, None, True)
BY_ID = "for n in subdel arrdel arrheld"


def test_a_deleted_waiting_task_gets_nothing_of_its_arrays_exit_status() -> None:
    answer = transcript(5, BY_ID)

    assert verdicts(tasks_of(answer, "101[].pbs1")) == {
        1: (S.DELETED, 143, False), 2: RUNNING, 3: RUNNING, 4: NEVER_RAN,
    }  # fmt: skip
    assert verdicts(tasks_of(answer, "102[].pbs1")) == {
        1: (S.DELETED, 143, False), 2: (S.DELETED, 143, False), 3: NEVER_RAN, 4: NEVER_RAN,
    }  # fmt: skip


def test_rows_that_the_deletion_of_an_array_overwrote_tell_no_end() -> None:
    answer = transcript(5, BY_ID, -1)
    # Task 1 was deleted while it ran, and an earlier answer showed that.
    deleted = (S.DELETED, 143, False)

    assert verdicts(tasks_of(answer, "101[].pbs1")) == {1: NEVER_RAN, 2: deleted, 3: deleted, 4: NEVER_RAN}
    assert verdicts(tasks_of(answer, "103[].pbs1")) == dict.fromkeys((1, 2, 3), NEVER_RAN)
    # Here task 1 had exited with 0 and task 2 with 3.
    overwritten = transcript(12, "qstat -x -t -f $(qselect -x -N lists)")
    assert verdicts(tasks_of(overwritten, "450[].pbs1")) == {
        1: NEVER_RAN, 2: NEVER_RAN, 3: deleted, 4: deleted, 5: deleted, 6: NEVER_RAN,
    }  # fmt: skip


def test_tasks_of_a_running_array_are_told_by_their_own_rows() -> None:
    done = (S.DONE, 0, False)

    for answer in (transcript(3, "qstat -t -f -w -u", 1), transcript(3, "qstat -x -t -f -F json")):
        tasks = verdicts(tasks_of(answer, "76[].pbs1"))
        assert tasks == {1: done, 2: (S.ERROR, 1, False), 3: RUNNING, 4: done}


def test_an_array_that_is_held_says_so_in_every_list() -> None:
    listed = tasks_of(transcript(3, "qstat -t -f -w -u"), "73[].pbs1")
    by_id = tasks_of(transcript(5, "for n in subdel arrheld rerun"), "103[].pbs1")
    whole = rows_of(transcript(5, "for n in subdel arrheld rerun"))["103[].pbs1"].whole

    assert {(each.life, each.reason) for each in (*listed.values(), *by_id.values())} == {
        (QUEUED, "held by its user")
    }
    assert whole is not None
    assert status_of(whole) == SchedulerStatus(QUEUED, reason="held by its user")


def test_a_waiting_task_of_a_running_array_is_not_said_to_have_begun() -> None:
    listed = tasks_of(transcript(3, "qstat -t -f -w -u"), "76[].pbs1")

    assert listed[3] == SchedulerStatus(QUEUED)


# Plain jobs --------------------------------------------------------------------------------------

ENDS = {
    "x255": (S.ERROR, 255, ""), "x130": (S.ERROR, 130, ""), "x137": (S.ERROR, 137, ""),
    "x143": (S.ERROR, 143, ""), "x139": (S.ERROR, 139, ""), "x113": (S.ERROR, 113, ""),
    "x1": (S.ERROR, 1, ""), "sig9": (S.ERROR, 137, ""), "sig11": (S.ERROR, 139, ""),
    "sig15": (S.ERROR, 143, ""), "killparent": (S.ERROR, 137, "ended by signal 9"),
    "limit": (S.TIMEOUT, None, "the scheduler ended it at its time limit"),
    "limtrap": (S.TIMEOUT, None, "the scheduler ended it at its time limit"),
    "limdeaf": (S.TIMEOUT, None, "the scheduler ended it at its time limit"),
    "del": (S.DELETED, 143, "deleted"), "deltrap": (S.DELETED, 143, "deleted"),
    "deldeaf": (S.DELETED, 143, "deleted"), "delheld": (S.DELETED, None, "deleted"),
    "delforce": (S.DELETED, 137, "deleted"), "sigterm": (S.ERROR, 143, "ended by signal 15"),
    "sigkill": (S.ERROR, 137, "ended by signal 9"), "later": (S.DELETED, None, "deleted"),
    "big": (S.DELETED, None, "deleted"),
}  # fmt: skip


def test_every_end_of_a_plain_job_is_told_as_it_was() -> None:
    answer = transcript(4, "for n in x255")
    names = re.findall(r"Job_Name = (\S+)", answer.stdout)
    ends = [
        tasks[None] for tasks in (tasks_of(answer, scheduler_job_id) for scheduler_job_id in rows_of(answer))
    ]

    assert {
        name: (end.verdict, end.exit_code, end.reason) for name, end in zip(names, ends, strict=True)
    } == ENDS


@pytest.mark.parametrize("substate", ["", "    substate = 93\n"])
def test_pbs_own_words_for_an_end_are_understood_without_its_numbers(substate: str) -> None:
    job = "Job Id: 5.pbs1\n    job_state = F\n{}    comment = Job run at x on (n:ncpus=1) and {}\n"

    for words, verdict in (
        ("exceeded resource walltime\n    Exit_status = 271", S.TIMEOUT),
        ("terminated by alice@pbs1", S.DELETED),
    ):
        answer = Transcript("", job.format(substate, words), "", 0)
        assert tasks_of(answer, "5.pbs1")[None].verdict is verdict


@pytest.mark.parametrize(("name", "scheduler_job_id"), [("dep0", "173.pbs1"), ("dep1b", "175.pbs1")])
def test_a_dependency_that_cannot_be_met_is_an_error_with_the_reason(
    name: str, scheduler_job_id: str
) -> None:
    end = tasks_of(transcript(7, f"qstat -x -t -f -w $(qselect -x -N {name})"), scheduler_job_id)[None]

    assert (end.life, end.verdict, end.exit_code, end.never_ran) == (ENDED, S.ERROR, None, False)
    assert "a job that it depends on failed" in end.reason


def test_an_array_whose_dependency_cannot_be_met_is_an_error_with_the_reason() -> None:
    answer = transcript(15, "qstat -x -t -f -w $(qselect -x -N depa)")
    whole = rows_of(answer)["220[].pbs1"].whole
    assert whole is not None

    ends = [*tasks_of(answer, "220[].pbs1").values(), status_of(whole)]

    assert len(ends) == 4
    for end in ends:
        assert end is not None
        assert (end.life, end.verdict, end.exit_code, end.never_ran) == (ENDED, S.ERROR, None, False)
        assert "a job that it depends on failed" in end.reason


def test_only_the_job_that_waits_says_for_which() -> None:
    answer = transcript(15, "qstat -t -f -w -u")

    assert tasks_of(answer, "222.pbs1")[None].reason == "held by its user"
    assert {each.reason for each in tasks_of(answer, "223[].pbs1").values()} == {
        "held by the scheduler; depends on afterok:222.pbs1@pbs1"
    }


def test_a_job_that_waits_for_another_one_says_so() -> None:
    waits = transcript(7, "qstat -f $(qselect -N dep1b)")
    answer = Transcript("", f"Job Id: 175.pbs1\n{waits.stdout}", "", 0)

    assert tasks_of(answer, "175.pbs1")[None].reason == (
        "held by the scheduler; depends on afterok:174.pbs1@pbs1"
    )


def test_a_job_that_runs_though_it_is_held_runs() -> None:
    answer = transcript(5, "for n in subdel arrheld rerun")

    assert tasks_of(answer, "106.pbs1")[None] == SchedulerStatus(RUNNING)
    assert tasks_of(answer, "107.pbs1")[None].reason == "suspended"


def test_jobs_of_a_node_that_failed_wait_again_or_have_failed() -> None:
    again, once, array = (
        tasks_of(transcript(14, f"qstat -x -t -f -w $(qselect -x -N {name})"), scheduler_job_id)
        for name, scheduler_job_id in (("again", "10.pbs1"), ("once", "11.pbs1"), ("tasks", "12[].pbs1"))
    )
    listed = tasks_of(transcript(14, "qstat -t -f -w -u"), "12[].pbs1")

    assert again[None].life is QUEUED
    assert again[None].reason.startswith("requeued: a node failed; Not Running")
    assert (once[None].verdict, once[None].exit_code, once[None].reason) == (S.ERROR, None, "a node failed")
    assert verdicts(array) == verdicts(listed) == {1: QUEUED, 2: QUEUED}
    assert {each.reason for each in listed.values()} == {"requeued: a node failed"}


def test_a_job_that_cannot_be_started_is_held_with_the_reason() -> None:
    listed = transcript(14, "qstat -t -f -w -u", 1)
    held = [tasks_of(listed, "13.pbs1")[None], *tasks_of(listed, "14[].pbs1").values()]

    assert {each.life for each in held} == {QUEUED}
    assert all(
        "held by the scheduler" in each.reason and "too many failed attempts" in each.reason for each in held
    )
    deleted = transcript(14, "qstat -x -t -f -w $(qselect -x -N nostarts)", -1)
    assert verdicts(tasks_of(deleted, "14[].pbs1")) == dict.fromkeys((1, 2), (S.ERROR, None, False))


# Values ------------------------------------------------------------------------------------------


def test_a_tag_that_json_made_a_number_of_is_the_one_that_was_given() -> None:
    lines = transcript(13, "qstat -f -F json").stdout
    found = re.findall(r'"(\S+)":\t\{\n\t*"CLOUDQ_TAG":\t(.*),\n\t*("Submit_arguments":\t".*"),', lines)
    jobs = ",".join(
        f'"{scheduler_job_id}":{{"job_state":"H","Variable_List":{{"CLOUDQ_TAG":{tag}}},{arguments}}}'
        for scheduler_job_id, tag, arguments in found
    )
    given = re.findall(r"CLOUDQ_TAG=(\S+)", lines)

    answer = Transcript("", f'{{"timestamp":1,"Jobs":{{{jobs}}}}}', "", 0)

    assert len(given) == 7
    assert [job.tag for job in rows_of(answer).values()] == [ClaimTag.parse(tag) for tag in given]


def test_a_tag_with_its_mark_is_no_number() -> None:
    for tag in ("12345678.10", "01234567.1", "00000000.3", "1234e567.1"):
        job = {"job_state": "R", "Variable_List": {"CLOUDQ_TAG": f"t{tag}"}}
        answer = Transcript("", json.dumps({"timestamp": 1, "Jobs": {"5.pbs1": job}}), "", 0)
        assert rows_of(answer)["5.pbs1"].tag == ClaimTag.parse(tag)


def test_a_variable_with_line_breaks_forges_no_attribute_in_any_form() -> None:
    folded, wide, as_json = (
        transcript(6, f"qstat -f {options}$(qselect -N nl)") for options in ("", "-w ", "-F json ")
    )

    assert "    job_state = F\n    substate = 91" in folded.stdout
    assert rows_of(folded) == {}
    assert tasks_of(wide, "538.pbs1") == tasks_of(as_json, "538.pbs1")
    assert tasks_of(wide, "538.pbs1")[None] == SchedulerStatus(QUEUED, reason="held by its user")


@pytest.mark.parametrize("char", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\r"])
def test_no_other_character_ends_a_line(char: str) -> None:
    text = f"Job Id: 5.pbs1\n    job_state = R\n    Variable_List = A=x{char}    Exit_status = 0\n"

    row = rows_of(Transcript("", text, "", 0))["5.pbs1"].tasks[None]

    assert (row.state, row.exit_status) == ("R", None)


# Jobs that cannot be looked up -------------------------------------------------------------------


class Replayed:
    """A stand-in that answers every ``qstat`` with the output of a real one."""

    def __init__(self, *answers: Transcript) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, ...]] = []

    def ask(self, *argv: str) -> Finished:
        self.asked.append(argv)
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]).finished


def lookup(commands: Replayed) -> PbsLookup:
    return PbsLookup(commands, OWNER)  # type: ignore[arg-type]


def test_an_id_that_qstat_cannot_look_up_is_neither_known_nor_unknown() -> None:
    answers = lookup(Replayed(transcript(11, "qstat -x -f -t -F json 12.pbs2")))(["12.pbs2"])

    assert answers.jobs == {}
    assert "illegally formed job identifier: 12.pbs2" in answers.unanswered["12.pbs2"]


def test_what_was_told_before_a_server_fell_silent_counts() -> None:
    known = transcript(2, "qstat -x -f -w")
    commands = Replayed(known)
    ids = ["67.pbs1", *(f"{number}.pbs1" for number in range(1000, 1050))]

    def ask(*argv: str) -> Finished:
        if ids[-1] in argv:
            raise SchedulerUnavailable("no answer within 60 s")
        return Replayed.ask(commands, *argv)

    commands.ask = ask  # type: ignore[method-assign]
    answers = lookup(commands)(ids)

    assert set(answers.jobs) == {"67.pbs1"}
    assert set(answers.unanswered) == set(ids[1:])
    assert answers.unanswered[ids[-1]].endswith("no answer within 60 s")


def test_an_unknown_id_is_neither_shown_nor_unanswered() -> None:
    answers = lookup(Replayed(transcript(1, "qstat -x -t -f 999999.pbs1")))(["999999.pbs1"])

    assert (answers.jobs, answers.unanswered) == ({}, {})


def test_a_server_that_is_away_answers_for_no_job() -> None:
    answers = lookup(Replayed(transcript(10, "qstat -x -f -t -F json")))(["1.pbs1", "2.pbs1"])

    assert answers.jobs == {}
    assert {each: "cannot connect" in words for each, words in answers.unanswered.items()} == {
        "1.pbs1": True, "2.pbs1": True,
    }  # fmt: skip


def test_without_history_jobs_that_ended_are_unknown() -> None:
    answers = lookup(Replayed(transcript(9, "qstat -x -t -f $(qselect")))(["413.pbs1"])

    assert (answers.jobs, answers.unanswered) == ({}, {})


# qsub, qdel --------------------------------------------------------------------------------------

REFUSALS = [each for each in all_of("qsub") if each.status and "too long" not in each.stderr]
NOT_FOR_GOOD = (
    ("would exceed", SubmitDeferred), ("Maximum number of jobs", SubmitDeferred),
    ("Queue is not enabled", SubmitDeferred), ("Unknown Host", SubmitDeferred),
    ("Connection refused", SubmitUncertain),
)  # fmt: skip


@pytest.mark.parametrize("answer", REFUSALS, ids=lambda each: each.command[:50])
def test_every_refusal_of_qsub_is_told_in_its_words_alone(answer: Transcript) -> None:
    expected: type[SchedulerProblem] = next(
        (problem for words, problem in NOT_FOR_GOOD if words in answer.stderr), SubmitRefused
    )

    with pytest.raises(SchedulerProblem) as raised:
        read_qsub_answer(str(answer.status), answer.stdout, answer.stderr)

    assert type(raised.value) is expected
    assert "usage" not in str(raised.value).replace("printed its usage", "")
    said = answer.stderr.split("usage:")[0].split()
    assert not said or " ".join(said) in str(raised.value)


def test_what_qdel_says_of_jobs_that_are_over_is_no_error() -> None:
    said = {each.stderr: is_only_about_ended_jobs(each.stderr) for each in all_of("qdel") if each.status}

    over = ("Unknown Job Id", "Job has finished", "finished array subjob")
    assert said == {words: any(each in words for each in over) for words in said}
    assert set(said.values()) == {True, False}
