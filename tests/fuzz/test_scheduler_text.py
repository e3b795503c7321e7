"""Test damaged output of scheduler commands: an answer or `SchedulerUnavailable`, never a false DONE."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.schedulers.grid_engine import parse as grid_engine_parse
from cloudq.adapters.schedulers.grid_engine.states import read_qsub_answer as read_ge_answer
from cloudq.adapters.schedulers.grid_engine.states import status_from
from cloudq.adapters.schedulers.grid_engine.states import status_of as ge_status
from cloudq.adapters.schedulers.pbs import parse as pbs_parse
from cloudq.adapters.schedulers.pbs.states import read_qsub_answer as read_pbs_answer
from cloudq.adapters.schedulers.pbs.states import status_of as pbs_status
from cloudq.adapters.schedulers.slurm import parse as slurm_parse
from cloudq.adapters.schedulers.slurm.answers import read_sbatch_answer
from cloudq.adapters.schedulers.slurm.states import STATES
from cloudq.domain.errors import SchedulerProblem, SchedulerUnavailable
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import SchedulerStatus
from tests.fuzz.damage import damaged_text

SHELL = "/home/me/.cloudq/cache/.cloudq/3f7e7681.1/job_shell.sh"
DAY = "2026-11-22T10:00:00"
ODD = "|\n\r\t\x00\x0b\x0c\x1b\x1c\x85\u2028\ufffd\udcff٣²_[]-%:;,=.<>/&\"'\\{} 0159abXFDONE"

SQUEUE = (
    f"cq|5_[1-2,7%2]|PENDING|{DAY}|Resources|{SHELL}\ncq|5_9|RUNNING|{DAY}|None|{SHELL}\n"
    f"cq|6|FAILED|{DAY}|NonZeroExitCode|{SHELL} x\ncq|8+1|RUNNING|{DAY}|None|(null)\n"
)
SACCT = (
    f"5|FAILED|3:0|{DAY}|sbatch --comment a|b {SHELL}\n6_1|TIMEOUT|0:0|{DAY}|sbatch {SHELL}\n"
    f"6_[2-3]|PENDING|0:0|{DAY}|sbatch {SHELL}\n7|CANCELLED by 1000|0:15|{DAY}|sbatch {SHELL}\n"
)
SCONTROL = (
    "JobId=17 ArrayJobId=5 ArrayTaskId=2 JobName=x UserId=me(1) JobState=FAILED Reason=N ExitCode=3:0 Command=/x\n"
    "JobId=5 JobName=a ExitCode=9:9 b UserId=me(1) JobState=FAILED Reason=None ExitCode=0:9 Command=/x y\n"
)
CONFIG = "Configuration data as of 2026-11-22\nMaxArraySize = 1001\nMinJobAge = 300 sec\nKillWait = 30 sec\n"
QSTAT_XML = (
    "<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"http://arc.liv.ac.uk/qstat.xsd\">\n  <queue_info>\n"
    '    <job_list state="running">\n      <JB_job_number>7</JB_job_number>\n      <JB_name>a&lt;b</JB_name>\n'
    "      <state>r</state>\n      <tasks>3</tasks>\n    </job_list>\n  </queue_info>\n  <job_info>\n"
    '    <job_list state="pending">\n      <JB_job_number>8</JB_job_number>\n      <state>hqw</state>\n'
    "      <tasks>4-9:1,20</tasks>\n    </job_list>\n  </job_info>\n</job_info>\n"
)
QSTAT_J = (
    f"{'=' * 62}\njob_number:                 7\ncontext:                    cloudq=3f7e7681.1\n"
    "error reason    1:          11/22/2026 10:00:00 [0:1]: exit_status of job start = 100\n"
    f"{'=' * 62}\njob_number:                 9\ncontext:                    a=b,cloudq=00000001.2\n"
)
QACCT = "".join(
    f"{'=' * 62}\nowner        me\njobnumber    5\ntaskid       {task}\nfailed       {failed}\n"
    f"exit_status  {code}\nru_wallclock 5s\ncpu          0.009s\nmaxvmem      4.820MB\ncategory     -l h_rt=3600\n"
    for task, failed, code in (("1", "0", "3"), ("2", "37  : qmaster enforced h_rt", "137"), ("3", "0", "4"))
)
QSTAT_F = (
    "Job Id: 49223.pbs1\n    Job_Owner = me@login1\n    resources_used.walltime = 00:00:33\n    job_state = F\n"
    "    Resource_List.walltime = 00:00:30\n    substate = 93\n    Variable_List = A=b,CLOUDQ_TAG=3f7e76\n\t81.1\n"
    "    Exit_status = 271\n\nJob Id: 49224[].pbs1\n    Job_Owner = me@login1\n    job_state = B\n"
    "    Variable_List = CLOUDQ_TAG=3f7e7681.2\n    array_indices_submitted = 1-9:4\n"
    "    array_indices_remaining = 9\n\nJob Id: 49224[1].pbs1\n    Job_Owner = me@login1\n    job_state = X\n"
    "    Exit_status = 4\n"
)
QSTAT_JSON = json.dumps(
    {
        "timestamp": 1, "pbs_version": "22.05.11", "pbs_server": "pbs1",
        "Jobs": {
            "5.pbs1": {
                "Job_Owner": "me@a", "job_state": "F", "Exit_status": 3, "substate": 93,
                "Variable_List": {"CLOUDQ_TAG": "3f7e7681.1", "X": "\\q"}, "resources_used": {"walltime": "00:01:00"},
            },
            "6[].pbs1": {"Job_Owner": "me@a", "job_state": "B", "array_indices_submitted": "1-4"},
        },
    },
    indent=4,
)  # fmt: skip


def slurm_verdicts(jobs: dict[str, slurm_parse.JobRows]) -> Iterator[SchedulerStatus | None]:
    for job in jobs.values():
        for row in job.tasks.values():
            yield STATES[row.state].status(row.exit_code, row.reason) if row.state in STATES else None


def ge_verdicts(jobs: dict[str, grid_engine_parse.ListedJob]) -> Iterator[SchedulerStatus | None]:
    return (ge_status(state) for job in jobs.values() for state in job.tasks.values())


def pbs_verdicts(jobs: dict[str, pbs_parse.JobRows] | None) -> Iterator[SchedulerStatus | None]:
    return (pbs_status(row) for job in (jobs or {}).values() for row in job.tasks.values())


def none(_: object) -> Iterable[SchedulerStatus | None]:
    return ()


READERS: dict[str, tuple[str, Callable[[str], Any], Callable[[Any], Iterable[SchedulerStatus | None]]]] = {
    "squeue": (SQUEUE, slurm_parse.parse_squeue, slurm_verdicts),
    "sacct": (SACCT, lambda text: slurm_parse.parse_sacct(text, with_line=True), slurm_verdicts),
    "scontrol show job": (SCONTROL, slurm_parse.parse_shown_jobs, none),
    "scontrol show config": (CONFIG, slurm_parse.parse_config, none),
    "sinfo": ("cq|main*|4/8/0/12\ncq|gpu|0/16/0/16\n", slurm_parse.parse_sinfo, none),
    "qstat -xml": (QSTAT_XML, grid_engine_parse.parse_list, ge_verdicts),
    "qstat -j": (QSTAT_J, grid_engine_parse.parse_details, none),
    "qacct": (
        QACCT,
        lambda text: grid_engine_parse.parse_accounts(text, "5", "me"),
        lambda accounts: map(status_from, accounts.values()),
    ),
    "qstat -g c": ("CLUSTER QUEUE  CQLOAD USED RES AVAIL\n----\nmain.q 0.10 1 0 7 8 0 0\n", grid_engine_parse.parse_free_slots,
                   none),
    "qstat -f of PBS": (QSTAT_F, lambda text: pbs_parse.parse_qstat(text, "me"), pbs_verdicts),
    "qstat -F json of PBS": (QSTAT_JSON, lambda text: pbs_parse.parse_qstat(text, "me"), pbs_verdicts),
    "sbatch": ("Submitted batch job 5\n5\n", lambda text: read_sbatch_answer("0", text, text), none),
    "qsub": ("17.1-9:2\n", lambda text: read_ge_answer("0", text, text), none),
    "qsub of PBS": ("49224[].pbs1\n", lambda text: read_pbs_answer("0", text, text), none),
}  # fmt: skip


@pytest.mark.parametrize("command", READERS)
def test_what_a_command_prints_is_read_when_it_is_whole(command: str) -> None:
    """Otherwise the fuzzer below would damage text that no parser reads anyway."""
    text, read, _ = READERS[command]

    assert read(text)


@pytest.mark.parametrize("command", READERS)
@given(data=st.data())
def test_damaged_output_of_a_command_is_an_answer_or_none(command: str, data: st.DataObject) -> None:
    """None of the jobs above succeeded and no damage changes that, so no state DONE may result."""
    text, read, verdicts = READERS[command]
    shown = data.draw(damaged_text(text, ODD).filter(_says_nothing_of_a_good_end))
    try:
        found = read(shown)
    except SchedulerUnavailable:
        return
    except SchedulerProblem:
        assert command in {"sbatch", "qsub", "qsub of PBS"}
        return

    assert all(status is None or status.verdict is not JobState.DONE for status in verdicts(found))


def _says_nothing_of_a_good_end(text: str) -> bool:
    """Return False if an exit status lost its digits or became 0, the scheduler's own word for DONE."""
    lines = [line.replace(" ", "").replace('"', "") for line in text.split("\n")]
    return not any("COMPLETED" in line or _is_a_good_end(line) for line in lines)


def _is_a_good_end(line: str) -> bool:
    for name in ("exit_status", "Exit_status=", "Exit_status:"):
        _, found, value = line.partition(name)
        if found and value.strip(",").lstrip("+-0") == "":
            return True
    return False
