"""Output of PBS's commands is read correctly or not at all.

These answers follow reports of sites and bugs; `test_pbs_transcripts` has those of a real server.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.schedulers.pbs.json_text import read_json
from cloudq.adapters.schedulers.pbs.parse import TaskRow, is_scheduler_job_id, parse_qstat, sequence_number
from cloudq.adapters.schedulers.pbs.states import (
    EXIT_STATUSES,
    KEEP_LAST,
    STATES,
    is_beyond_this_qstat,
    is_only_about_ended_jobs,
    keeps_no_history,
    numbers_not_known,
    read_qsub_answer,
    status_of,
)
from cloudq.domain.errors import SchedulerProblem, SubmitDeferred, SubmitRefused, SubmitUncertain
from cloudq.domain.jobs.job_state import JobState as S
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag

TAG = ClaimTag("3f7e7681", 1)

# States ------------------------------------------------------------------------------------------

QUEUED, RUNNING, COMPLETING, ENDED = Life.QUEUED, Life.RUNNING, Life.COMPLETING, Life.ENDED


def test_every_letter_of_pbs_is_in_the_table() -> None:
    lives = {state: meaning.life for state, meaning in STATES.items()}

    assert lives == {
        "Q": QUEUED, "H": QUEUED, "T": QUEUED, "W": QUEUED, "R": RUNNING, "B": RUNNING, "S": RUNNING,
        "U": RUNNING, "E": COMPLETING, "F": ENDED, "X": ENDED, "C": ENDED,
    }  # fmt: skip
    assert {"M"} == KEEP_LAST
    assert status_of(TaskRow("M")) is None
    assert status_of(TaskRow("LEVITATING")) is None


def test_the_comment_tells_why_a_job_waits() -> None:
    held = status_of(TaskRow("H", "job held, too many failed attempts to run"))
    waits = status_of(TaskRow("Q", "Not Running: Insufficient amount of resource: ncpus"))
    runs = status_of(TaskRow("R", "Job run at Sun Nov 22 at 10:00 on (n1:ncpus=1)", exit_status=3))

    assert held is not None
    assert (held.life, held.reason) == (
        QUEUED,
        "held by the scheduler; job held, too many failed attempts to run",
    )
    assert waits is not None
    assert waits.reason.startswith("Not Running: Insufficient")
    assert runs is not None
    assert (runs.life, runs.verdict, runs.exit_code, runs.reason) == (RUNNING, None, None, "")


def test_a_comment_on_another_task_is_no_reason_to_wait() -> None:
    row = TaskRow("Q", "Subjob finished", holds="u", is_own=False)

    assert status_of(row) == SchedulerStatus(QUEUED, reason="held by its user")


RUN = "Job run at Wed Jun 24 at 15:33 on (n1:ncpus=1)"


@pytest.mark.parametrize(
    ("row", "verdict", "exit_code"),
    [
        # The exit status is the exit code of the script.
        (TaskRow("F", f"{RUN} and finished", 0, 92), S.DONE, 0),
        (TaskRow("F", f"{RUN} and failed", 3, 93), S.ERROR, 3),
        (TaskRow("X", "", 255), S.ERROR, 255),
        (TaskRow("C", "", 0), S.DONE, 0),
        # Deleted before or while it ran; one of the scripts then exits with 0.
        (TaskRow("F", "Not Running and terminated", None, 91), S.DELETED, None),
        (TaskRow("F", f"{RUN} and terminated", 271, 91), S.DELETED, 143),
        (TaskRow("F", "", 143, 91), S.DELETED, 143),
        (TaskRow("F", "", 0, 91), S.DELETED, 0),
        (TaskRow("X", "Subjob terminated"), S.DELETED, None),
        (TaskRow("F"), S.DELETED, None),
        (TaskRow("C", "", 271), S.DELETED, 143),
        # The time limit, as new and old versions report it.
        (TaskRow("F", f"{RUN} and failed", -29, 93), S.TIMEOUT, None),
        (TaskRow("F", f"{RUN} and failed", 271, 93, 33, 30), S.TIMEOUT, 143),
        (TaskRow("F", "", 143, 93, 30, 30), S.TIMEOUT, 143),
        (TaskRow("F", "", 265, 93, 30, 30), S.TIMEOUT, 137),
        (TaskRow("F", "job killed: walltime 33 exceeded limit 30", 271, 93), S.TIMEOUT, 143),
        (TaskRow("F", "", 3, 93, 31, 30), S.ERROR, 3),
        (TaskRow("F", "", 0, 92, 31, 30), S.DONE, 0),
        # Signals from elsewhere.
        (TaskRow("F", "", 265, 93, 5, 30), S.ERROR, 137),
        (TaskRow("F", "", 271, 93, 5, 30), S.ERROR, 143),
        (TaskRow("F", "", 267, 93), S.ERROR, 139),
        # Records that PBS kept only in part decide nothing by themselves.
        (TaskRow("X", "Subjob finished"), None, None),
        (TaskRow("X"), None, None),
        (TaskRow("F", f"{RUN} and finished", None, 92, 5), None, None),
        (TaskRow("F", f"{RUN} and failed", None, 93, 5), S.ERROR, None),
        # Statuses of PBS itself.
        (TaskRow("F", "", -1, 93), S.ERROR, None),
        (TaskRow("F", "", -27, 93), S.ERROR, None),
        (TaskRow("F", "", -99, 93), S.ERROR, None),
        (TaskRow("F", "job held, too many failed attempts to run and terminated", None, 91), S.ERROR, None),
    ],
)  # fmt: skip
def test_the_end_of_a_job_is_told_as_it_was(row: TaskRow, verdict: S | None, exit_code: int | None) -> None:
    status = status_of(row)

    assert status is not None
    assert (status.life, status.verdict, status.exit_code) == (ENDED, verdict, exit_code)


def test_no_status_that_pbs_gives_itself_is_a_success() -> None:
    assert set(EXIT_STATUSES) == set(range(-32, 0)) - {-8, -9}
    assert {verdict for verdict, _ in EXIT_STATUSES.values()} == {S.ERROR, S.TIMEOUT}
    assert all(reason for _, reason in EXIT_STATUSES.values())


@given(
    st.sampled_from([*STATES, "M", "Z"]), st.none() | st.integers(-400, 700), st.none() | st.integers(0, 99),
    st.sampled_from(["", "x and failed", "x and finished", "x and terminated"]),
    st.none() | st.integers(0, 99), st.booleans(), st.booleans(),
)  # fmt: skip
def test_a_job_is_done_only_where_pbs_says_zero(
    state: str, code: int | None, substate: int | None, comment: str, used: int | None, ran: bool, own: bool
) -> None:
    status = status_of(TaskRow(state, comment, code, substate, used, 50, has_run=ran, is_own=own))

    if status is not None and not own:
        assert (status.exit_code, status.verdict is S.DONE) == (None, False)

    if status is not None and status.verdict is S.DONE:
        assert (code, status.exit_code) == (0, 0)
        assert substate != 91


# qstat -------------------------------------------------------------------------------------------

FOLDED = """\
Job Id: 49223.pbs1.example.org
    Job_Name = my job: a = b
    Job_Owner = me@login1.example.org
    resources_used.cpupercent = 0
    resources_used.walltime = 00:00:33
    job_state = F
    queue = workq
    Resource_List.walltime = 00:00:30
    substate = 93
    Variable_List = PBS_O_SYSTEM=Linux,PBS_O_SHELL=/bin/bash,
\tPBS_O_PATH=/opt/clmgr/sbin:/opt/clmgr/bin:/opt/sgi/sbin:/opt/sgi/bin:/
\tusr/local/bin:/usr/bin,NOTE=a\\,CLOUDQ_TAG=00000000.9,CLOUDQ_TAG=3f7e76
\t81.1,PBS_O_HOST=login1.example.org
    comment = Job run at Wed Jun 24 at 15:33 on (n1:ncpus=1) and fa
\tiled
    Exit_status = 271
    Submit_arguments = -v CLOUDQ_TAG=11111111.1 job_shell.sh
    project = _pbs_project_default

Job Id: 7.pbs1
    Job_Owner = somebody@login1
    job_state = R

Job Id: 49224[].pbs1
    Job_Owner = me@login1
    job_state = B
    Variable_List = CLOUDQ_TAG=3f7e7681.2
    array = True
    array_indices_submitted = 1-9:4
    array_indices_remaining = 9

Job Id: 49224[1].pbs1
    Job_Owner = me@login1
    job_state = X
    Exit_status = 4
    array_index = 1

Job Id: 49224[5].pbs1
    Job_Owner = me@login1
    job_state = R

"""

SHOWN = {
    "49223.pbs1.example.org": {
        None: TaskRow("F", "Job run at Wed Jun 24 at 15:33 on (n1:ncpus=1) and failed", 271, 93, 33, 30)
    },
    "49224[].pbs1": {1: TaskRow("X", exit_status=4), 5: TaskRow("R", has_run=False, is_own=False)},
}


def as_json(text: str) -> str:
    """Return the same jobs as qstat prints them with ``-F json``."""
    jobs: dict[str, dict[str, object]] = {}
    for block in text.replace("\n\t", "").split("\n\n"):
        name, *lines = block.split("\n")
        told: dict[str, object] = {}
        for line in lines:
            attribute, _, value = line.strip().partition(" = ")
            outer, dot, inner = attribute.partition(".")
            if attribute == "Variable_List":
                pairs = value.replace("\\,", "\0").split(",")
                told[attribute] = dict(pair.replace("\0", ",").split("=", 1) for pair in pairs)
            elif dot:
                told.setdefault(outer, {})[inner] = value  # type: ignore[index]
            else:
                told[attribute] = int(value) if value.isdigit() else value
        if told:
            jobs[name.removeprefix("Job Id: ")] = told
    answer = {"timestamp": 1, "pbs_version": "22.05.11", "pbs_server": "pbs1", "Jobs": jobs}
    return json.dumps(answer, indent=4)


@pytest.mark.parametrize(
    "text", [FOLDED, FOLDED.replace("\n\t", ""), as_json(FOLDED)], ids=["text", "wide", "json"]
)
def test_own_jobs_are_read_task_by_task_in_every_form(text: str) -> None:
    jobs = parse_qstat(text, "me")

    assert jobs is not None
    assert {scheduler_job_id: job.tasks for scheduler_job_id, job in jobs.items()} == SHOWN
    assert [job.tag for job in jobs.values()] == [TAG, ClaimTag("3f7e7681", 2)]
    array = jobs["49224[].pbs1"]
    assert (array.whole, array.waiting, array.submitted) == (TaskRow("B", has_run=False), {9}, {1, 5, 9})


def test_a_plain_job_that_is_one_task_of_an_array_says_which() -> None:
    text = "Job Id: 5.pbs1\n    job_state = Q\n    Variable_List = CLOUDQ_TAG=3f7e7681.1,CLOUDQ_TASK=7\n"

    jobs = parse_qstat(text, "me")

    assert jobs is not None
    assert jobs["5.pbs1"].tasks == {7: TaskRow("Q", has_run=False)}


def test_an_empty_queue_is_an_answer() -> None:
    empty = '{\n    "timestamp":1750053827,\n    "pbs_version":"22.05.11",\n    "pbs_server":"pbs1"\n}\n'

    assert parse_qstat("", "me") == parse_qstat(empty, "me") == {}


@pytest.mark.parametrize(
    "text",
    [
        "Welcome!\n", "Job ID          Username\n", '{"timestamp":1,"Jobs":[]}', '{"Queue":{}}', "{}",
        '{"timestamp":1,"Jobs":{"5.pbs1":{"queue":"a"}}}', "Job Id: 5.pbs1\n    queue = a\n",
        '{"timestamp":1,"Jobs":{',
        "Job Id: x y\n    job_state = F\n", '{"timestamp":1,"Jobs":{"x":{"job_state":"F"}}}', "\x00{",
    ],
)  # fmt: skip
def test_what_is_no_list_of_jobs_is_no_answer(text: str) -> None:
    assert parse_qstat(text, "me") is None


@given(st.text(max_size=200))
def test_no_text_at_all_is_taken_for_jobs_by_mistake(text: str) -> None:
    jobs = parse_qstat(text, "me")

    assert not jobs or "job_state" in text


@given(st.text(max_size=40), st.text(alphabet="\\',\"{}:\n x", max_size=30))
def test_a_users_variable_never_changes_what_a_job_is(name: str, value: str) -> None:
    attributes = {
        "job_state": "R",
        "Variable_List": {name: value, "CLOUDQ_TAG": "3f7e7681.1"},
        "queue": "workq",
    }
    text = json.dumps({"timestamp": 1, "Jobs": {"5.pbs1": attributes}}, indent=4)

    jobs = parse_qstat(text, "me")

    assert jobs is not None
    assert jobs["5.pbs1"].tasks[None].state == "R"


JOB = '{"timestamp":1,"Jobs":{"5.pbs1":{"job_state":"R","Variable_List":{%s},"queue":"a"}}}'


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ('"A":005', {"A": "005"}), ('"A":1.2.3,"B":7', {"A": "1.2.3", "B": 7}), ('"A":0x1f\n', {"A": "0x1f"}),
        (r'''"A":"\'x\'"''', {"A": "'x'"}),
        (r'"A":"a\,b"', {"A": "a,b"}), (r'"A":"C:\dir\\n"', {"A": "C:dir\\n"}),
        (r'"A":"\"q\" \u00e9"', {"A": '"q" é'}), ('"A":"two\nlines"', {"A": "two\nlines"}),
        ('"A":"x",', {"A": "x"}),
        ('"A":"\\u00zz"', {"A": "u00zz"}), ('"A":":005,"', {"A": ":005,"}), ('"A":"", "A":"y"', {"A": "y"}),
    ],
)  # fmt: skip
def test_json_that_is_nearly_json_is_put_right(variables: str, told: dict[str, object]) -> None:
    read = read_json(JOB % variables)

    assert read is not None
    assert read["Jobs"]["5.pbs1"] == {"job_state": "R", "Variable_List": told, "queue": "a"}


@pytest.mark.parametrize("variables", ['"A":"an "unquoted" word"', '"A":"x', '"A" "B"', '"A":"\\"'])
def test_json_that_can_be_read_in_two_ways_is_not_guessed(variables: str) -> None:
    assert read_json(JOB % variables) is None


def test_a_message_of_the_day_before_json_is_passed_over() -> None:
    assert read_json("Welcome!\n" + JOB % "") is not None


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("5.pbs1", True), ("5[].pbs1", True), ("5.pbs-1.a.b", True), ("5", False), ("5[3].pbs1", False),
        ("x.pbs1", False), ("5.", False), ("", False), ("5.pbs1 6.pbs1", False), ("-Wforce", False),
    ],
)  # fmt: skip
def test_local_ids_are_told_from_other_words(text: str, is_one: bool) -> None:
    assert is_scheduler_job_id(text) == is_one
    assert not is_one or sequence_number(text) == 5


def test_what_qstat_does_not_know_it_says_by_name() -> None:
    stderr = (
        "qstat: Unknown Job Id 12.pbs1\nqstat: Unknown Job Id 13[].pbs1\n"
        "qstat: 14.pbs1 Job has finished, use -x or -H to obtain historical job information\n"
        "qstat: Bad 15.pbs1"
    )

    assert numbers_not_known(stderr) == {12, 13, 14}
    assert keeps_no_history("qstat: PBS is not configured to maintain job history")
    assert not keeps_no_history(stderr)


def test_a_qstat_without_the_options_is_told_from_one_that_failed() -> None:
    assert is_beyond_this_qstat("", "qstat: invalid option -- 'F'\nusage: \nqstat [-f]")
    assert is_beyond_this_qstat("\npbs1: \nJob ID          Username Queue\n", "")
    assert not is_beyond_this_qstat("", "qstat: cannot connect to server pbs1 (errno=15010)")
    assert not is_beyond_this_qstat(FOLDED, "")


# qsub, qdel --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stdout", ["17.pbs1\n", "Welcome!\n17.pbs1\n", "17 is your lucky number\n17.pbs1"])
def test_the_job_id_is_found_in_what_qsub_prints(stdout: str) -> None:
    assert read_qsub_answer("0", stdout, "qsub: a hook remarks") == "17.pbs1"
    assert read_qsub_answer("", stdout.replace("17.", "17[]."), "") == "17[].pbs1"


def test_without_status_and_id_there_is_no_answer_yet() -> None:
    assert read_qsub_answer("", "", "") is None


@pytest.mark.parametrize(
    ("status", "stderr", "problem"),
    [
        ("255", "Connection refused\nqsub: cannot connect to server pbs1 (errno=15010)", SubmitUncertain),
        ("1", "No route to host\nqsub: cannot connect to server aqua (errno=15010)", SubmitUncertain),
        ("162", "qsub: cannot connect to server pbs1 (errno=110)", SubmitUncertain),
        ("1", "qsub: Request not allowed: Server shutting down", SubmitUncertain),
        ("1", "qsub: Batch protocol error", SubmitUncertain), ("1", "qsub: End of File", SubmitUncertain),
        ("1", "qsub: Invalid credential", SubmitUncertain),
        ("1", "qsub: PBS server internal error", SubmitUncertain),
        ("0", "", SubmitUncertain), ("124", "", SubmitUncertain), ("137", "", SubmitUncertain),
        ("rubbish", "", SubmitUncertain),
        ("127", "qsub: not found", SubmitDeferred),
        ("38", "qsub: would exceed queue rt_HF's per-user limit", SubmitDeferred),
        ("38", "qsub: would exceed complex's per-group limit of jobs in 'Q' state", SubmitDeferred),
        ("38", "qsub: would exceed limit on resource ncpus in queue workq", SubmitDeferred),
        ("38", "qsub: would exceed user me's limit on resource ngpus in complex", SubmitDeferred),
        ("38", "qsub: would exceed group g's limit on resource ncpus in queue a for jobs in 'Q' state",
         SubmitDeferred),
        ("37", "qsub: Maximum number of jobs already in queue workq", SubmitDeferred),
        ("37", "qsub: Maximum number of jobs in 'Q' state for user me already in complex", SubmitDeferred),
        ("1", "qsub: Resource temporarily unavailable", SubmitDeferred),
        ("1", "qsub: Queue is not enabled", SubmitDeferred), ("1", "qsub: Resource busy", SubmitDeferred),
        ("172", "qsub: Unknown queue", SubmitRefused),
        ("1", "qsub: Unknown resource Resource_List.x", SubmitRefused),
        ("188", "qsub: Job violates queue and/or server resource limits", SubmitRefused),
        ("1", "qsub: Array job exceeds server or queue size limit", SubmitRefused),
        ("1", "qsub: Job rejected by all possible destinations", SubmitRefused),
        ("2", "qsub: illegal -J value\nusage: qsub [-a date_time]", SubmitRefused),
        ("1", "qsub: Unauthorized Request", SubmitRefused),
        ("1", "qsub: Illegal attribute or resource value", SubmitRefused),
        ("1", "qsub: request rejected as filter could not be applied: not enough points", SubmitRefused),
        ("1", "", SubmitRefused),
    ],
)  # fmt: skip
def test_qsubs_own_words_tell_what_became_of_a_submission(
    status: str, stderr: str, problem: type[SchedulerProblem]
) -> None:
    with pytest.raises(problem) as raised:
        read_qsub_answer(status, "", stderr)

    assert " ".join(stderr.split("usage:", maxsplit=1)[0].split()) in str(raised.value)


def test_only_jobs_that_ended_are_no_error_to_qdel() -> None:
    ended = (
        "qdel: Unknown Job Id 5.pbs1\nqdel: Job has finished 6.pbs1\n"
        "qdel: Request invalid for state of job 7.pbs1\n"
    )

    assert is_only_about_ended_jobs(ended)
    assert not is_only_about_ended_jobs(f"{ended}qdel: Unauthorized Request  8.pbs1\n")
    assert not is_only_about_ended_jobs("Couldn't connect to cluster: pbs1\n")
    assert not is_only_about_ended_jobs("")
