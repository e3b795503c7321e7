"""Output of Slurm's commands is read correctly or not at all."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.schedulers.slurm.answers import (
    SbatchJob,
    is_about_an_unknown_job,
    is_only_about_ended_jobs,
    problem_in,
    read_sbatch_answer,
)
from cloudq.adapters.schedulers.slurm.parse import (
    ClusterLimits,
    TaskRow,
    exit_code,
    parse_config,
    parse_sacct,
    parse_shown_jobs,
    parse_sinfo,
    parse_squeue,
    parse_tasks,
    parse_work_dirs,
    tag_of,
)
from cloudq.adapters.schedulers.slurm.states import (
    KEEP_LAST,
    STATES,
    status_once_gone,
)
from cloudq.domain.errors import (
    NoJobId,
    SchedulerProblem,
    SchedulerUnavailable,
    SubmitDeferred,
    SubmitRefused,
    SubmitUncertain,
)
from cloudq.domain.jobs.job_state import JobState as S
from cloudq.domain.jobs.outcome import Life
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange

TAG = ClaimTag("3f7e7681", 1)
SHELL = "/home/me/.cloudq/cache/.cloudq/3f7e7681.1/job_shell.sh"
DAY = "2026-11-22T"
TRANSCRIPTS = Path(__file__).parents[3] / "cases" / "slurm"

# States ------------------------------------------------------------------------------------------

QUEUED, RUNNING, COMPLETING, ENDED = Life.QUEUED, Life.RUNNING, Life.COMPLETING, Life.ENDED

WHAT_EACH_STATE_MEANS = {
    "PENDING": (QUEUED, None), "CONFIGURING": (QUEUED, None), "RUNNING": (RUNNING, None),
    "COMPLETING": (COMPLETING, None), "SUSPENDED": (RUNNING, None), "STOPPED": (RUNNING, None),
    "RESIZING": (RUNNING, None), "SIGNALING": (RUNNING, None), "STAGE_OUT": (RUNNING, None),
    "REQUEUED": (QUEUED, None), "REQUEUE_HOLD": (QUEUED, None), "REQUEUE_FED": (QUEUED, None),
    "RESV_DEL_HOLD": (QUEUED, None), "SPECIAL_EXIT": (QUEUED, None), "PREEMPTED": (QUEUED, None),
    "REVOKED": (ENDED, S.DELETED), "COMPLETED": (ENDED, S.DONE), "FAILED": (ENDED, S.ERROR),
    "CANCELLED": (ENDED, S.DELETED), "TIMEOUT": (ENDED, S.TIMEOUT), "DEADLINE": (ENDED, S.TIMEOUT),
    "OUT_OF_MEMORY": (ENDED, S.ERROR), "NODE_FAIL": (ENDED, S.ERROR), "BOOT_FAIL": (ENDED, S.ERROR),
    "POWER_UP_NODE": (QUEUED, None), "EXPEDITING": (QUEUED, None),
}  # fmt: skip
"""Every state in Slurm's list except those that do not describe the job."""


def test_the_table_has_every_state_of_slurm_and_no_other() -> None:
    assert STATES.keys() == WHAT_EACH_STATE_MEANS.keys()
    assert {"LAUNCH_FAILED", "RECONFIG_FAIL", "UPDATE_DB"} == KEEP_LAST
    assert not KEEP_LAST & STATES.keys()


@pytest.mark.parametrize("state", STATES)
def test_every_state_means_what_it_deserves(state: str) -> None:
    status = STATES[state].status(3, "")

    assert (status.life, status.verdict) == WHAT_EACH_STATE_MEANS[state]
    if status.verdict is not None:
        assert status.exit_code == {"COMPLETED": 0, "FAILED": 3}.get(state)


@pytest.mark.parametrize("state", STATES)
def test_a_job_that_is_gone_has_ended_only_if_that_was_seen(state: str) -> None:
    end = status_once_gone(STATES[state].status(3, ""), state)

    if state == "PREEMPTED":
        assert end is not None
        assert (end.verdict, end.reason) == (S.ERROR, "preempted")
    else:
        assert (end is None) == (WHAT_EACH_STATE_MEANS[state][1] is None)


def test_slurms_reason_tells_why_a_job_waits() -> None:
    assert STATES["PENDING"].status(None, "QOSMaxJobsPerUserLimit").reason == "QOSMaxJobsPerUserLimit"
    assert STATES["REQUEUE_HOLD"].status(None, "JobHeldUser").reason == "held by the scheduler; JobHeldUser"


@pytest.mark.parametrize(
    ("state", "told", "exit_code", "reason"),
    [
        ("FAILED", "NonZeroExitCode", 3, ""), ("FAILED", "RaisedSignal:9(Killed)", 3, ""),
        ("FAILED", "", 3, ""), ("FAILED", "RaisedSignal", 3, ""),
        ("FAILED", "JobLaunchFailure", None, "failed by the scheduler: JobLaunchFailure"),
        ("FAILED", "BadConstraints", None, "failed by the scheduler: BadConstraints"),
        ("FAILED", "RaisedSignal:53(Real-time signal 19)", None,
         "failed by the scheduler: RaisedSignal:53(Real-time signal 19)"),
        ("NODE_FAIL", "NodeDown", None, "a node failed: NodeDown"),
        ("OUT_OF_MEMORY", "OutOfMemory", None, "out of memory"),
        ("CANCELLED", "Priority", None, "canceled"),
        ("CANCELLED", "DependencyNeverSatisfied", None, "canceled: DependencyNeverSatisfied"),
        ("TIMEOUT", "TimeLimit", None, "the scheduler ended it at its time limit"),
    ],
)  # fmt: skip
def test_only_a_script_that_failed_has_an_exit_code(
    state: str, told: str, exit_code: int | None, reason: str
) -> None:
    status = STATES[state].status(3, told)

    assert (status.exit_code, status.reason) == (exit_code, reason)


@pytest.mark.parametrize(
    ("text", "code"),
    [("3:0", 3), ("0:9", 137), ("0:15", 143), ("0:1", None), ("0:53", None), ("0:125", None), ("x", None)],
)
def test_a_code_that_slurm_invents_is_no_exit_code(text: str, code: int | None) -> None:
    assert exit_code(text) == code


def rows_of(name: str) -> str:
    """Return the rows of a transcript that squeue printed in cloudq's format."""
    lines = (TRANSCRIPTS / name).read_text().splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("cq|"))


def test_every_row_of_slurm_26_has_a_state_with_a_meaning() -> None:
    for name in ("rows-26.11.txt", "squeue-expediting-26.11.txt", "squeue-oom-26.11.txt"):
        jobs = parse_squeue(rows_of(name))

        assert jobs
        assert {row.state for job in jobs.values() for row in job.tasks.values()} <= STATES.keys()


def test_a_failed_node_in_the_answer_of_scontrol_hides_no_exit_code() -> None:
    line = (TRANSCRIPTS / "show-job-nodefail-26.11.txt").read_text()

    assert "FailedNode=" in line
    assert parse_shown_jobs(line.replace("ExitCode=0:1", "ExitCode=7:0")) == {None: 7}
    assert parse_shown_jobs(line) == {}  # 0:1 is from Slurm, not from the script


# squeue ------------------------------------------------------------------------------------------

SQUEUE = f"""\
cq|5_[1-2,7%2]|PENDING|{DAY}10:00:00|Resources|{SHELL}
cq|5_9|RUNNING|{DAY}10:00:00|None|{SHELL}
cq|6|FAILED|{DAY}10:01:00|NonZeroExitCode|{SHELL} stay
cq|7|RUNNING|{DAY}10:01:00|None|/home/me/my | own
script.sh 3f7e7681.1
cq|8+1|RUNNING|{DAY}10:01:00|None|(null)
"""


def test_the_queue_is_read_task_by_task() -> None:
    jobs = parse_squeue(SQUEUE)

    waiting = TaskRow("PENDING", "Resources", f"{DAY}10:00:00")
    assert jobs["5"].tasks == {
        1: waiting, 2: waiting, 7: waiting, 9: TaskRow("RUNNING", "", f"{DAY}10:00:00"),
    }  # fmt: skip
    assert {scheduler_job_id: job.tag for scheduler_job_id, job in jobs.items()} == {
        "5": TAG,
        "6": TAG,
        "7": None,
        "8": None,
    }
    assert jobs["6"].tasks[None].state == "FAILED"


@pytest.mark.parametrize(
    ("shown", "is_cut"), [("5_[1,3,...]", True), ("5_[1,3,...", True), ("5_[1,3]", False)]
)
def test_a_list_of_tasks_that_was_cut_off_is_known_as_such(shown: str, is_cut: bool) -> None:
    assert parse_squeue(f"cq|{shown}|PENDING|{DAY}|None|{SHELL}\n")["5"].is_cut is is_cut


def test_an_empty_queue_is_an_answer() -> None:
    assert parse_squeue("") == {}


@pytest.mark.parametrize(
    "text",
    ["Welcome!\n", "cq|5|RUNNING\n", f"cq|x y|RUNNING|{DAY}|None|a\n", "\x00|||||\n", "slurm_load_jobs"],
)
def test_what_is_no_queue_is_no_answer(text: str) -> None:
    with pytest.raises(SchedulerUnavailable, match="squeue"):
        parse_squeue(text)


@given(st.text(max_size=200))
def test_no_text_at_all_is_taken_for_a_queue_by_mistake(text: str) -> None:
    try:
        jobs = parse_squeue(text)
    except SchedulerUnavailable:
        return
    assert not jobs or text.startswith("cq|")


ODD = st.text(st.sampled_from("|\n\r\x00\x0b\x0c\x1b\x1c\x85\u2028\ufffdcq5_[1-3],%:./ab"), max_size=30)
"""Control characters, line ends of every convention, and the characters that rows consist of."""


@given(ODD.filter(lambda text: "\n" not in text), ODD)
def test_whatever_a_path_or_a_strangers_command_holds_the_claim_is_found(home: str, other: str) -> None:
    rows = f"cq|4|RUNNING|{DAY}|None|{home}{SHELL}\ncq|5|RUNNING|{DAY}|None|/a/b {other}\n"

    try:
        jobs = parse_squeue(rows)
    except SchedulerUnavailable:
        assert "\ncq" in other
        return
    assert jobs["4"].tag == TAG
    assert jobs["4"].tasks == {None: TaskRow("RUNNING", "", DAY)}


def test_thousands_of_tasks_and_of_jobs_are_read_each() -> None:
    array = f"cq|1_[0-74999%8]|PENDING|{DAY}|None|{SHELL}\n"
    single = "".join(f"cq|2_{task}|COMPLETED|{DAY}|None|{SHELL}\n" for task in range(20_000))
    others = "".join(f"cq|{number}|RUNNING|{DAY}|None|{SHELL}\n" for number in range(3, 10_000))

    jobs = parse_squeue(array + single + others)

    assert [len(jobs[scheduler_job_id].tasks) for scheduler_job_id in ("1", "2", "3")] == [75_000, 20_000, 1]
    assert len(jobs) == 9_999


def test_a_span_without_end_does_not_fill_the_memory() -> None:
    found = parse_tasks("5_[0-999999999]")

    assert found is not None
    assert len(found[1]) <= 4_000_001


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("5", ("5", (None,))), ("5_7", ("5", (7,))), ("5_0", ("5", (0,))), ("5_[0-3]", ("5", (0, 1, 2, 3))),
        ("5_[1-3,7%2]", ("5", (1, 2, 3, 7))), ("5_[1-9:4,20]", ("5", (1, 5, 9, 20))), ("5+0", ("5", (None,))),
        ("5_[1,3,...]", ("5", (1, 3))), ("5_[1,3,...", ("5", (1, 3))),
        ("", None), ("5.batch", None), ("x", None), ("5_x", None), ("-5", None), ("5 6", None),
    ],
)  # fmt: skip
def test_ids_of_jobs_and_tasks_are_told_apart(shown: str, expected: object) -> None:
    assert parse_tasks(shown) == expected


@given(
    st.sets(st.integers(min_value=0, max_value=500), min_size=1, max_size=60),
    st.none() | st.integers(min_value=1, max_value=9),
)
def test_any_pending_array_is_expanded_to_its_tasks(tasks: set[int], limit: int | None) -> None:
    spans = str(ArrayRange.covering(tasks)).replace(":1,", ",").removesuffix(":1")
    shown = f"12_[{spans}{'' if limit is None else f'%{limit}'}]"

    assert parse_tasks(shown) == ("12", tuple(sorted(tasks)))


@pytest.mark.parametrize(
    ("command", "tag"),
    [
        (SHELL, TAG), (f"{SHELL} stay", TAG), (f"sbatch --parsable -J 'a b' {SHELL}", TAG), ("(null)", None),
        ("/home/3f7e7681.1/a/job.sh", None), ("job.sh", None), ("", None), ("/a/3f7e7681.0/x.sh", None),
    ],
)  # fmt: skip
def test_a_claim_is_told_by_the_job_shells_directory(command: str, tag: ClaimTag | None) -> None:
    assert tag_of(command) == tag


# sacct, scontrol ---------------------------------------------------------------------------------


def test_accounting_tells_ends_and_the_newer_of_two_jobs_with_one_id() -> None:
    text = (
        f"5|CANCELLED by 1000|0:15|{DAY}09:00:00|sbatch /x/00000001.1/job_shell.sh\n"
        f"5|FAILED|3:0|{DAY}10:00:00|sbatch --comment a|b {SHELL}\n"
        f"6_1|COMPLETED|0:0|{DAY}10:00:00|sbatch {SHELL}\n"
        f"6_[2-3]|PENDING|0:0|{DAY}10:00:00|sbatch {SHELL}\n"
    )
    jobs = parse_sacct(text, with_line=True)

    assert jobs["5"].tag == TAG
    assert jobs["5"].tasks == {None: TaskRow("FAILED", "", f"{DAY}10:00:00", 3)}
    assert {task: row.state for task, row in jobs["6"].tasks.items()} == {
        1: "COMPLETED", 2: "PENDING", 3: "PENDING",
    }  # fmt: skip


def test_a_requeued_job_counts_by_its_last_run() -> None:
    rows = (
        f"5|PREEMPTED|0:15|{DAY}10:00:00\n5|CANCELLED by 0|0:0|{DAY}10:20:00\n5|TIMEOUT|0:0|{DAY}10:10:00\n"
    )

    assert parse_sacct(rows, with_line=False)["5"].tasks[None].state == "CANCELLED"


def test_what_accounting_did_not_print_is_no_answer() -> None:
    with pytest.raises(SchedulerUnavailable, match="sacct"):
        parse_sacct("Welcome!\n", with_line=True)


def test_exit_codes_are_told_by_task_whatever_the_job_is_called() -> None:
    line = (
        "JobId={} JobName=x ExitCode=9:9 y UserId=me(1) JobState=FAILED Reason=N ExitCode={} Command=/x y\n"
    )
    text = line.format("5", "3:0") + line.format("17 ArrayJobId=5 ArrayTaskId=2", "0:9")

    assert parse_shown_jobs(text) == {None: 3, 2: 137}
    assert parse_shown_jobs("slurm_load_jobs error") == {}


@given(ODD.filter(lambda text: not re.search(r"\n[0-9]", text)))  # that would be a row
def test_a_submit_line_may_hold_anything_before_its_claim(options: str) -> None:
    rows = (
        f"5|FAILED|3:0|{DAY}10:00:00|sbatch --comment={options} {SHELL}\n"
        f"6|COMPLETED|0:0|{DAY}10:00:00|sbatch {SHELL}\n"
    )
    jobs = parse_sacct(rows, with_line=True)

    assert jobs.keys() == {"5", "6"}
    assert jobs["5"].tasks == {None: TaskRow("FAILED", "", f"{DAY}10:00:00", 3)}
    assert [job.tag for job in jobs.values()] == [TAG, TAG]


@given(st.text(max_size=200), st.booleans())
def test_no_text_at_all_is_taken_for_accounting_by_mistake(text: str, with_line: bool) -> None:
    try:
        jobs = parse_sacct(text, with_line=with_line)
    except SchedulerUnavailable:
        return
    assert not jobs or text[0].isdigit()


@given(ODD, ODD)
def test_an_exit_code_is_told_whatever_names_and_comments_hold(name: str, comment: str) -> None:
    name, comment = (text.replace("\n", " ") for text in (name, comment))
    line = (
        f"JobId=5 JobName={name} JobState=x ExitCode=9:9 UserId=me(1) JobState=FAILED Reason=NonZeroExitCode "
        f"Dependency=(null) Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=3:0 RunTime=00:00:01 "
        f"Comment={comment} JobState=FAILED x ExitCode=0:0 Command={SHELL}\n"
    )

    assert parse_shown_jobs(line) == {None: 3}


@given(st.text(max_size=200))
def test_no_text_at_all_breaks_what_reads_single_answers(text: str) -> None:
    parse_shown_jobs(text)
    with contextlib.suppress(SchedulerUnavailable):
        parse_config(text)
    with contextlib.suppress(SchedulerProblem):
        read_sbatch_answer("0", text, text)
    with contextlib.suppress(SchedulerProblem):
        read_sbatch_answer("1", text, text)


def test_the_clusters_limits_are_read() -> None:
    text = """Configuration data as of 2026-11-22T10:00:00
AccountingStorageType   = accounting_storage/slurmdbd
MaxArraySize            = 75001
MinJobAge               = 20 sec
ClusterName             = kaede
SLURM_VERSION           = 23.11.4

Slurmctld(primary) at here is UP
"""
    assert parse_config(text) == ClusterLimits(
        75001, 20.0, has_accounting=True, has_submit_line=True, name="kaede"
    )
    old = text.replace("23.11.4", "20.11.9").replace("slurmdbd", "none")
    assert parse_config(old) == ClusterLimits(
        75001, 20.0, has_accounting=False, has_submit_line=False, name="kaede"
    )
    with pytest.raises(SchedulerUnavailable, match="configuration"):
        parse_config("Welcome!")


# sbatch, scancel ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stdout", "cluster"), [("17\n", ""), ("17;other\n", "other"), ("Welcome!\n17\n", ""), ("17;\n", "")]
)
def test_the_job_id_is_found_in_what_sbatch_prints(stdout: str, cluster: str) -> None:
    assert read_sbatch_answer("0", stdout, "sbatch: lua: noted") == SbatchJob("17", cluster)
    assert read_sbatch_answer("", stdout, "") == SbatchJob("17", cluster)


def test_without_status_and_id_there_is_no_answer_yet() -> None:
    assert read_sbatch_answer("", "", "") is None


FAILED = "sbatch: error: Batch job submission failed: "
POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"


@pytest.mark.parametrize(
    ("status", "stderr", "problem"),
    [
        ("1", f"{FAILED}Socket timed out on send/recv operation", SubmitUncertain),
        ("1", f"{FAILED}Unable to contact slurm controller (connect failure)", SubmitUncertain),
        ("1", f"{FAILED}Zero Bytes were transmitted or received", SubmitUncertain),
        ("1", f"{FAILED}Slurm backup controller in standby mode", SubmitUncertain),
        ("1", "sbatch: error: slurm_receive_msg: Message receive failure", SubmitUncertain),
        ("0", "", SubmitUncertain), ("124", "", SubmitUncertain), ("137", "", SubmitUncertain),
        ("rubbish", "", SubmitUncertain),
        ("127", "sbatch: not found", SubmitDeferred),
        ("1", f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{FAILED}{POLICY}", SubmitDeferred),
        ("1", f"sbatch: error: AssocMaxSubmitJobLimit\n{FAILED}{POLICY}", SubmitDeferred),
        ("1", "sbatch: error: Slurm temporarily unable to accept job, sleeping", SubmitDeferred),
        ("1", f"{FAILED}Resource temporarily unavailable", SubmitDeferred),
        ("1", f"{FAILED}No space left on device", SubmitDeferred),
        ("1", f"sbatch: error: QOSMaxWallDurationPerJobLimit\n{FAILED}{POLICY}", SubmitRefused),
        ("1", f"{FAILED}Invalid partition name specified", SubmitRefused),
        ("1", f"{FAILED}Requested node configuration is not available", SubmitRefused),
        ("1", f"{FAILED}Invalid account or account/partition combination specified", SubmitRefused),
        ("1", "sbatch: unrecognized option '--frobnicate'", SubmitRefused),
        ("1", "", SubmitRefused),
    ],
)  # fmt: skip
def test_sbatchs_own_words_tell_what_became_of_a_submission(
    status: str, stderr: str, problem: type[SchedulerProblem]
) -> None:
    with pytest.raises(problem) as raised:
        read_sbatch_answer(status, "", stderr)

    assert " ".join(stderr.split()) in str(raised.value)


PROBLEMS = {each.__name__: each for each in (SubmitUncertain, SubmitDeferred, SubmitRefused)}


def table_of_texts() -> dict[str, str]:
    """Return Slurm's messages, each with the name of the problem that it stands for."""
    lines = (Path(__file__).parents[3] / "parts" / "slurm_error_texts.txt").read_text().splitlines()
    rows = (line.partition(" | ") for line in lines if not line.startswith("#"))
    return {text: problem for problem, _, text in rows}


def test_every_text_of_slurms_errors_means_what_its_row_says() -> None:
    wrong = {
        text: problem
        for text, problem in table_of_texts().items()
        if problem_in(f"{FAILED}{text}") is not PROBLEMS[problem]
    }

    assert not wrong


def test_every_new_text_of_the_transcript_has_a_row() -> None:
    lines = (TRANSCRIPTS / "error-texts-new.txt").read_text().splitlines()
    texts = {line.partition(" | ")[2] for line in lines if not line.startswith("#")}

    assert len(texts) > 20
    assert texts <= table_of_texts().keys()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("Connection timed out", SubmitUncertain), ("Connection reset by peer", SubmitUncertain),
        ("No route to host", SubmitUncertain), ("Too many open files", SubmitDeferred),
        ("Rate limit exceeded, please retry later", SubmitDeferred),
    ],
)  # fmt: skip
def test_the_systems_own_errors_are_no_refusals_either(words: str, problem: type[SchedulerProblem]) -> None:
    assert problem_in(f"{FAILED}{words}") is problem


def test_a_login_node_that_finds_no_configuration_refuses_no_job() -> None:
    said = "sbatch: fatal: Could not establish a configuration source"

    assert problem_in(f"sbatch: error: fetch_config: DNS SRV lookup failed\n{said}") is SubmitDeferred


def test_a_full_queue_is_told_while_sbatch_still_tries() -> None:
    with pytest.raises(SubmitUncertain, match="job queue full"):
        read_sbatch_answer("124", "", "sbatch: error: Slurm job queue full, sleeping and retrying\n")


def test_a_forgotten_dependency_comes_with_the_way_out() -> None:
    with pytest.raises(SubmitRefused, match="submit with hold_jid"):
        read_sbatch_answer("1", "", f"{FAILED}Job dependency problem\n")


@pytest.mark.parametrize("prefix", ["slurm_load_jobs error: ", "slurm_load_jobs error:"])
def test_only_an_invalid_id_says_that_a_job_is_forgotten(prefix: str) -> None:
    forgotten = {text for text in table_of_texts() if is_about_an_unknown_job(f"{prefix}{text}\n")}

    assert forgotten == {"Invalid job id specified"}
    assert not is_about_an_unknown_job("")


@pytest.mark.parametrize("status", ["1", "0"])
def test_words_without_an_id_are_never_an_id(status: str) -> None:
    printed = "--context=\n--exclude=\nslurm 26.11.0\nsbatch: Job 17 to start at 2026-01-01\n"

    with pytest.raises(NoJobId if status == "0" else SubmitRefused):
        read_sbatch_answer(status, printed, "")


def test_only_jobs_that_ended_are_no_error_to_scancel() -> None:
    ended = "scancel: error: Kill job error on job id 5: Invalid job id specified"

    assert is_only_about_ended_jobs(f"{ended}\nscancel: error: Job/step already completing or completed\n")
    assert not is_only_about_ended_jobs(f"{ended}\nscancel: error: Unable to contact slurm controller\n")
    assert not is_only_about_ended_jobs("")


@pytest.mark.parametrize(
    ("text", "idle"),
    [
        ("cq|short|4/60/0/64\ncq|main*|12/20/0/32\n", 20),
        ("cq|short|4/60/0/64\ncq|main|12/20/0/32\n", 80),
        ("Welcome!\ncq|main*|32/0/8/40\n", 0),
    ],
    ids=["the default partition's", "all, where none is the default", "none, with a message of the day"],
)
def test_idle_cpus_are_read(text: str, idle: int) -> None:
    assert parse_sinfo(text) == idle


@pytest.mark.parametrize("text", ["", "main* 1/2/0/3", "cq|main*|1/2/3", "slurm_load_partitions: error"])
def test_an_answer_without_a_partition_tells_of_no_idle_cpus(text: str) -> None:
    with pytest.raises(SchedulerUnavailable):
        parse_sinfo(text)


# Directories of jobs ------------------------------------------------------------------------------


def test_directories_of_jobs_are_read_whatever_is_in_their_names() -> None:
    text = "cq|5|/home/me/a | b\ncq|6|/odd\nname\ncq|7|\n"

    assert parse_work_dirs(text) == {"5": "/home/me/a | b", "6": "/odd", "7": ""}
    assert parse_work_dirs("") == {}


@pytest.mark.parametrize("text", ["Welcome!\n", "cq|x y|/a\n", "slurm_load_jobs error\n"])
def test_answer_that_tells_of_no_directory_is_none(text: str) -> None:
    with pytest.raises(SchedulerUnavailable, match="something other than jobs"):
        parse_work_dirs(text)
