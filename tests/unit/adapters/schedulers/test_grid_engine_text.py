"""Output of Grid Engine's commands is read correctly or not at all."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.schedulers.grid_engine.parse import (
    Account,
    amount,
    has_no_accounting,
    is_not_found,
    is_only_about_unknown_jobs,
    parse_accounts,
    parse_details,
    parse_list,
    parse_tasks,
)
from cloudq.adapters.schedulers.grid_engine.states import (
    FAILED,
    KNOWN_LETTERS,
    MEANINGS,
    QsubJob,
    is_only_about_deleted_jobs,
    read_qsub_answer,
    status_from,
    status_of,
)
from cloudq.domain.errors import (
    SchedulerProblem,
    SchedulerUnavailable,
    SubmitDeferred,
    SubmitRefused,
    SubmitUncertain,
)
from cloudq.domain.jobs.job_state import JobState as S
from cloudq.domain.jobs.outcome import Life
from cloudq.domain.names import ClaimTag

TAG = ClaimTag("3f7e7681", 1)

# State letters -----------------------------------------------------------------------------------

QUEUED, RUNNING, COMPLETING, ENDED = Life.QUEUED, Life.RUNNING, Life.COMPLETING, Life.ENDED

WHAT_LETTERS_MEAN = {
    QUEUED: "qw w hqw hRwq hRqw Rq R dqw",
    RUNNING: "t Rt r Rr hr s ts S tS T tT Rs Rts RS RtS RT RtT",
    COMPLETING: "dr dt dRr dRt ds dS dT dRs dRS dRT",
    ENDED: "Eqw Ehqw EhRqw",
}
"""Every combination of letters that Grid Engine's manual pages list."""


@pytest.mark.parametrize(
    ("letters", "life"), [(each, life) for life, told in WHAT_LETTERS_MEAN.items() for each in told.split()]
)
def test_every_combination_of_letters_means_what_it_deserves(letters: str, life: Life) -> None:
    status = status_of(letters)

    assert status is not None
    assert status.life is life
    assert status.verdict is (S.ERROR if life is ENDED else None)


@pytest.mark.parametrize(
    ("letters", "reason"),
    [
        ("hqw", "held (hqw)"),
        ("Rq", "waiting to run again (Rq)"),
        ("qw", ""),
        ("s", "suspended"),
        ("dr", "being deleted"),
    ],
)
def test_letters_tell_why_a_job_waits(letters: str, reason: str) -> None:
    status = status_of(letters)

    assert status is not None
    assert status.reason == reason


def test_no_letter_alone_or_with_another_ends_a_job_but_the_one_for_errors() -> None:
    for letters in {*KNOWN_LETTERS, *map("".join, product(KNOWN_LETTERS, repeat=2))} - {"E"}:
        status = status_of(letters)
        assert (status is not None and status.life is ENDED) == ("E" in letters), letters


@pytest.mark.parametrize("letters", ["Zqw", "x", "", "running"])
def test_what_is_no_state_means_nothing(letters: str) -> None:
    assert status_of(letters) is None


def test_every_known_letter_is_in_the_table() -> None:
    assert {letter for each in MEANINGS for letter in each.all_of + each.any_of} == KNOWN_LETTERS


# qstat -------------------------------------------------------------------------------------------


def a_row(number: str, state: str, tasks: str = "", name: str = "job") -> str:
    shown = f"      <tasks>{tasks}</tasks>\n" if tasks else ""
    return (
        f'    <job_list state="pending">\n      <JB_job_number>{number}</JB_job_number>\n'
        f"      <JAT_prio>0.50000</JAT_prio>\n      <JB_name>{name}</JB_name>\n"
        f"      <state>{state}</state>\n{shown}    </job_list>\n"
    )


def a_list(running: str = "", pending: str = "") -> str:
    return (
        "<?xml version='1.0'?>\n"
        '<job_info  xmlns:xsd="http://arc.liv.ac.uk/qstat.xsd">\n'
        f"  <queue_info>\n{running}  </queue_info>\n  <job_info>\n{pending}  </job_info>\n</job_info>\n"
    )


def test_the_queue_is_read_task_by_task() -> None:
    running = a_row("2", "r", "1") + a_row("5", "t")
    jobs = parse_list(a_list(running, a_row("2", "qw", "3,7-9:1") + a_row("6", "Eqw")))

    assert {scheduler_job_id: job.tasks for scheduler_job_id, job in jobs.items()} == {
        "2": {1: "r", 3: "qw", 7: "qw", 8: "qw", 9: "qw"}, "5": {None: "t"}, "6": {None: "Eqw"},
    }  # fmt: skip


def test_an_empty_queue_is_an_answer() -> None:
    assert parse_list(a_list()) == {}


@pytest.mark.parametrize("name", ["a&amp;b%lt;c&gt;&quot;x", "a&b<c", "caf\ufffd", "\x1b[1m"])
def test_a_badly_written_name_does_not_hide_other_jobs(name: str) -> None:
    assert parse_list(a_list(a_row("1", "r", name=name) + a_row("2", "r"))).keys() == {"1", "2"}


@pytest.mark.parametrize(
    "text",
    [
        "", "Welcome!\n", "error: commlib error", a_list(a_row("1", "r"))[:-20],
        a_list(a_row("", "r")), a_list(a_row("1", "")), a_list(a_row("x", "r")),
    ],
)  # fmt: skip
def test_what_is_no_queue_is_no_answer(text: str) -> None:
    with pytest.raises(SchedulerUnavailable, match="qstat"):
        parse_list(text)


@given(st.text(max_size=200))
def test_no_text_at_all_is_taken_for_a_queue_by_mistake(text: str) -> None:
    with pytest.raises(SchedulerUnavailable):
        parse_list(text)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("", [None]), ("5", [5]), ("1-5:2", [1, 3, 5]), ("3,5", [3, 5]), ("1-2,9-11:1", [1, 2, 9, 10, 11]),
        ("5-5:1", [5]), ("1,...", [1]),
    ],
)  # fmt: skip
def test_ranges_of_tasks_are_expanded(shown: str, expected: list[int | None]) -> None:
    assert list(parse_tasks(shown)) == expected


def test_details_tell_whose_a_job_is_and_why_it_is_stuck() -> None:
    rule = "=" * 62
    text = (
        f"{rule}\njob_number:                 7\nenv_list:                   A=context: x\n"
        "context:                    foo=1,cloudq=3f7e7681.1,bar=2\n"
        "error reason          1:      11/22/2026 21:13:38 [0:13260]: exit_status of job start = 100\n"
        "error reason          3:      no such host\n"
        f"{rule}\njob_number:                 9\ncontext:                    cloudqx=3f7e7681.1\n"
        f"{rule}\njob_number:                 10\ncontext:                    cloudq=rubbish\n"
    )
    jobs = parse_details(text)

    assert {number: job.tag for number, job in jobs.items()} == {"7": TAG, "9": None, "10": None}
    assert jobs["7"].errors == {1: "exit_status of job start = 100", 3: "no such host"}


def test_a_question_about_jobs_that_ended_is_told_from_one_that_failed() -> None:
    assert is_only_about_unknown_jobs("Following jobs do not exist: \n998, 999\n")
    assert not is_only_about_unknown_jobs("error: commlib error: got select error (Connection refused)")


# qacct -------------------------------------------------------------------------------------------


def an_account(number: str = "5", owner: str = "me", **told: str) -> str:
    shown = {
        "qname": "main.q", "owner": owner, "jobname": "failed 0 exit_status", "jobnumber": number,
        "taskid": "undefined", "failed": "0    ", "exit_status": "0                   ",
        "ru_wallclock": "5s", "cpu": "0.009s", "maxvmem": "4.820MB", "category": "NONE", **told,
    }  # fmt: skip
    return "=" * 62 + "\n" + "".join(f"{name:<13}{value}\n" for name, value in shown.items())


def test_the_newest_account_of_each_task_counts() -> None:
    text = (
        an_account(taskid="1", exit_status="99", failed="25  : rescheduling")
        + an_account(taskid="2", exit_status="3")
        + an_account(taskid="1", exit_status="4")
        + an_account(taskid="3", owner="somebody")
    )

    assert {task: each.exit_status for task, each in parse_accounts(text, "5", "me").items()} == {1: 4, 2: 3}


def test_accounts_are_read_in_any_dialect() -> None:
    text = an_account(
        failed="44  : execd enforced h_rt limit",
        exit_status="137                  (Killed)",
        ru_wallclock="3601.042",
        maxvmem="4.5G",
        category="-u me -l h_rt=3600,rt_G.small=1 -pe smp 2 -l h_vmem=2G",
        deleted_by="me",
        submit_cmd="qsub -terse -ac cloudq=3f7e7681.1 -S /bin/bash /x/job_shell.sh",
    )

    assert parse_accounts(text, "5", "me") == {
        None: Account(
            None, 44, "execd enforced h_rt limit", 137, 3601.042, 0.009, 4.5 * 2**30,
            {"h_rt": "3600", "rt_G.small": "1", "h_vmem": "2G"}, "me", TAG,
        )
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "Welcome!", an_account(failed="?"), an_account(exit_status="")])
def test_what_is_no_account_is_no_answer(text: str) -> None:
    with pytest.raises(SchedulerUnavailable, match="qacct"):
        parse_accounts(text, "5", "me")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5s", 5), ("3601.5", 3601.5), ("1:00:00", 3600), ("0:0:2", 2), (":30:", 1800), ("2G", 2 * 2**30),
     ("4.5K", 4608), ("", 0), ("INFINITY", 0), ("undefined", 0)],
)  # fmt: skip
def test_amounts_are_read_with_their_units(text: str, expected: float) -> None:
    assert amount(text) == expected


def test_not_found_is_told_from_no_accounting_and_from_failures() -> None:
    nothing = "/x/cell/common/accounting: No such file or directory\nno jobs running since startup\n"

    assert is_not_found("error: job id 99 not found\n")
    assert has_no_accounting(nothing)
    for said in ("error: commlib error", "", "Permission denied"):
        assert not is_not_found(said)
        assert not has_no_accounting(said)


WHAT_ENDS_MEAN = [
    (0, 0, {}, S.DONE), (0, 3, {}, S.ERROR), (0, 137, {}, S.ERROR),
    (1, 0, {}, S.ERROR), (8, 0, {}, S.ERROR), (28, 0, {}, S.ERROR), (26, 0, {}, S.ERROR),
    (19, 0, {}, S.ERROR), (15, 0, {}, S.DONE), (15, 3, {}, S.ERROR), (30, 100, {}, S.ERROR),
    (24, 0, {}, None), (25, 99, {}, None),
    (37, 137, {"h_rt": "2"}, S.TIMEOUT), (37, 137, {}, S.TIMEOUT), (37, 137, {"h_vmem": "9G"}, S.ERROR),
    (37, 137, {"h_vmem": "9G", "h_rt": "2"}, S.TIMEOUT), (44, 137, {}, S.TIMEOUT), (48, 137, {}, S.DELETED),
    (100, 137, {}, S.DELETED), (100, 143, {}, S.DELETED), (100, 140, {}, S.DELETED), (17, 137, {}, S.DELETED),
    (100, 137, {"h_rt": "5"}, S.TIMEOUT), (100, 138, {"s_rt": "5"}, S.TIMEOUT),
    (100, 137, {"h_rt": "3600"}, S.DELETED),
    (100, 137, {"h_vmem": "4M"}, S.ERROR), (100, 152, {}, S.TIMEOUT), (100, 139, {}, S.ERROR),
    (100, 0, {}, S.ERROR),
]  # fmt: skip


@pytest.mark.parametrize(("failed", "code", "requested", "verdict"), WHAT_ENDS_MEAN)
def test_every_end_means_what_it_deserves(
    failed: int, code: int, requested: dict[str, str], verdict: S | None
) -> None:
    status = status_from(Account(None, failed, "words", code, 5.0, 0.0, 4.8 * 2**20, requested))

    assert (status.verdict if status else None) is verdict


@pytest.mark.parametrize("failed", [*range(45), 48, 77, 100])
def test_only_an_exit_code_of_0_is_called_done(failed: int) -> None:
    for code in range(1, 256):
        status = status_from(Account(None, failed, "", code))
        assert status is None or status.verdict is not S.DONE


def test_who_deleted_a_job_counts_where_it_is_told() -> None:
    status = status_from(Account(None, 100, "assumedly after job", 137, deleted_by="root"))

    assert status is not None
    assert (status.verdict, status.reason) == (S.DELETED, "deleted by root")


def test_a_number_that_is_not_known_decides_nothing() -> None:
    status = status_from(Account(None, 77, "melted", 1))

    assert 77 not in FAILED
    assert status is not None
    assert (status.verdict, status.reason) == (None, "failed 77: melted")


# qsub, qdel --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stdout", "expected"),
    [
        ("17\n", QsubJob("17")),
        ("17.1-9:2\n", QsubJob("17", "1-9:2")),
        ("Welcome!\n17\n", QsubJob("17")),
    ],
)
def test_the_job_id_is_found_in_what_qsub_prints(stdout: str, expected: QsubJob) -> None:
    assert read_qsub_answer("0", stdout, "warning") == expected
    assert read_qsub_answer("", stdout, "") == expected


def test_without_status_and_id_there_is_no_answer_yet() -> None:
    assert read_qsub_answer("", "", "") is None


UNABLE = "Unable to run job: "
CONTACT = 'error: unable to send message to qmaster using port 6444 on host "m": got send error'


@pytest.mark.parametrize(
    ("status", "stderr", "problem"),
    [
        ("1", "error: commlib error: got select error (Connection refused)", SubmitUncertain),
        ("1", CONTACT, SubmitUncertain),
        ("1", f"{UNABLE}failed receiving gdi request response for mid=1", SubmitUncertain),
        ("0", "", SubmitUncertain), ("124", "", SubmitUncertain), ("137", "", SubmitUncertain),
        ("rubbish", "", SubmitUncertain),
        ("127", "qsub: not found", SubmitDeferred),
        ("1", f"{UNABLE}job rejected: Only 100 jobs are allowed per user (current job count: 100).",
         SubmitDeferred),
        ("1", f"{UNABLE}job rejected: job limit exceeded", SubmitDeferred),
        ("1", "Your qsub request could not be scheduled, try again later.", SubmitDeferred),
        ("1", f"{UNABLE}No space left on device", SubmitDeferred),
        ("1", f"{UNABLE}job rejected: you tried to submit a job with more than 75000 tasks", SubmitRefused),
        ("1", f'{UNABLE}unknown resource "nope".\nExiting.', SubmitRefused),
        ("1", f'{UNABLE}unknown resource "timeout".', SubmitRefused),
        ("1", f'{UNABLE}can\'t resolve hostname " b"', SubmitRefused),
        ("2", 'qsub: invalid option argument "-g"', SubmitRefused),
        ("1", "", SubmitRefused),
    ],
)  # fmt: skip
def test_qsubs_own_words_tell_what_became_of_a_submission(
    status: str, stderr: str, problem: type[SchedulerProblem]
) -> None:
    with pytest.raises(problem) as raised:
        read_qsub_answer(status, "", stderr)

    assert " ".join(stderr.split()) in str(raised.value)


def test_only_jobs_that_are_gone_are_no_error_to_qdel() -> None:
    gone = 'denied: job "3" does not exist\nme has registered the job 4 for deletion\nme has deleted job 5\n'

    assert is_only_about_deleted_jobs(gone)
    assert not is_only_about_deleted_jobs(f"{gone}{CONTACT}\n")
    assert not is_only_about_deleted_jobs("")


def test_directory_of_a_job_is_where_it_starts_else_where_it_was_submitted() -> None:
    text = (
        "job_number:                 5\nsge_o_workdir:              /home/me\n"
        "cwd:                        /w/a b\n"
        "job_number:                 6\nsge_o_workdir:              /home/me\n"
        "job_number:                 7\n"
    )

    assert {scheduler_job_id: job.work_dir for scheduler_job_id, job in parse_details(text).items()} == {
        "5": "/w/a b", "6": "/home/me", "7": "",
    }  # fmt: skip
