"""A whole agent whose scheduler fails, hangs, returns nonsense or loses answers: no wrong state, one run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.application.agent.hand_over_job import MOST_ATTEMPTS_WITHOUT_ID
from cloudq.bootstrap.own_agent import status_report
from cloudq.config import load_config
from cloudq.domain.jobs.job_state import JobState
from tests.parts.fault_kinds import GARBAGE, HANGS, KINDS
from tests.parts.faulty_site import COUNTED, WAITS, FaultySite, faulty_site
from tests.parts.site import wait_until
from tests.parts.world import text_of


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultySite]:
    with faulty_site(KINDS[request.param], tmp_path) as rig:
        yield rig


# Queries without an answer -----------------------------------------------------------------------


def test_while_the_queue_cannot_be_read_no_state_changes(rig: FaultySite) -> None:
    with rig.site.client() as client, rig.site.agent():
        before = rig.running(client, WAITS, "before")
        seen = client.job(before)
        rig.fake.goes_away(rig.kind.down, rig.kind.query)
        rig.let_go()
        rig.wait_until_over(seen.jobid)
        during = rig.submit(client, COUNTED, "during")
        wait_until(lambda: client.job(during).state is JobState.READY)
        for fault in (rig.kind.down, GARBAGE, HANGS):
            rig.fake.goes_away(fault, rig.kind.query)
            rig.wait_for_calls(rig.kind.query, 2)
        assert client.job(before) == seen
        assert client.job(during).state is JobState.READY
        assert f"the scheduler gave no answer, all jobs keep their states: {rig.kind.query}" in rig.log()
        rig.fake.comes_back()

        assert rig.told(client, before, during) == [("ERROR", 3), ("DONE", 0)]
        assert text_of(client.log(during)) == "output of during\n"

    assert rig.runs("before", "during") == [1, 1]
    assert rig.submissions() == 2


def test_a_scheduler_that_is_away_loses_and_doubles_nothing(rig: FaultySite) -> None:
    site = rig.site
    with site.client() as client:
        with site.agent():
            before = rig.running(client, WAITS, "before")
            rig.fake.goes_away(rig.kind.down)
            during = rig.submit(client, COUNTED, "during")
            rig.let_go()
            wait_until(lambda: rig.submissions() == 2 and "gave no answer" in rig.log())
            rig.wait_for_calls(rig.kind.query, 2)
        seen = status_report(load_config(site.environment()))().seen
        assert seen is not None
        assert rig.kind.told in seen.lease.last_error
        assert [client.job(job_id).state for job_id in (before, during)] == [JobState.RUN, JobState.INIT]
        with site.agent():
            wait_until(lambda: rig.log().count("gave no answer") > 1)
            assert client.job(before).state is JobState.RUN
            rig.fake.comes_back()

            assert rig.told(client, before, during) == [("ERROR", 3), ("DONE", 0)]
            wait_until(lambda: "everything works again" in rig.log())

    assert rig.runs("before", "during") == [1, 1]
    assert rig.submissions() == 3


def test_an_agent_whose_commands_lack_an_option_does_not_start(rig: FaultySite) -> None:
    words = f"{rig.kind.query}: unrecognized option '--newer'"
    rig.fake.goes_away({"do": "fail", "words": words}, rig.kind.query)
    with rig.site.client() as client:
        job_id = rig.submit(client, COUNTED, "job")
        for options in ((), ("--daemon",), ("--daemon", "--detach")):
            done = rig.site.run("cloudqd", *options)
            assert done.returncode == 12
            assert words in done.stderr + done.stdout
        assert client.job(job_id).state is JobState.INIT
        report = rig.site.run("cloudqcli", "doctor").stdout
        assert any("PROBLEM" in line.upper() and words in line for line in report.splitlines())
        rig.fake.comes_back()
        with rig.site.agent():
            assert rig.told(client, job_id) == [("DONE", 0)]


# Submissions without an answer -------------------------------------------------------------------


def test_submissions_whose_answers_are_late_lost_or_never_come_run_once_each(rig: FaultySite) -> None:
    rig.fake.next_fails(
        rig.kind.submit,
        {"do": "late", "seconds": 2},
        {"do": "hang", "seconds": 60},
        {"do": "answer lost", "words": rig.kind.unanswered},
        {"do": "fail", "words": rig.kind.unanswered},
        GARBAGE,
    )
    names = ("a", "b", "c", "d", "e", "f")
    with rig.site.client() as client:
        job_ids = [rig.submit(client, COUNTED, name) for name in names]
        with rig.site.agent():
            assert rig.told(client, *job_ids) == [("DONE", 0)] * len(names)

        assert [text_of(client.log(job_id)) for job_id in job_ids] == [
            f"output of {name}\n" for name in names
        ]

    assert rig.runs(*names) == [1] * len(names)
    assert rig.submissions() == len(names) + 3  # three were never submitted, so each is submitted once more


def test_a_limit_of_the_moment_lets_a_job_wait_as_init_and_try_again(rig: FaultySite) -> None:
    rig.fake.goes_away({"do": "fail", "words": rig.kind.limit}, rig.kind.submit)
    with rig.site.client() as client:
        job_id = rig.submit(client, COUNTED, "job")
        with rig.site.agent():
            wait_until(lambda: any(rig.kind.limit in job.note for job in client.jobs().jobs))
        assert client.job(job_id).state is JobState.INIT
        rig.fake.comes_back()
        with rig.site.agent():
            assert rig.told(client, job_id) == [("DONE", 0)]

    assert rig.runs("job") == [1]
    assert rig.submissions() == 2


def test_a_submit_command_that_never_names_a_job_is_not_repeated_for_ever(rig: FaultySite) -> None:
    rig.fake.goes_away({"do": "nothing"}, rig.kind.submit)
    with rig.site.client() as client, rig.site.agent():
        job_id = rig.submit(client, COUNTED, "job")

        assert rig.told(client, job_id) == [("ERROR", None)]
        assert "printed no job id" in client.job(job_id).error_msg
        assert rig.submissions() == MOST_ATTEMPTS_WITHOUT_ID
