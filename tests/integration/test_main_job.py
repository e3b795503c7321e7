"""The main job with real processes: submit, bucket, agent, result, through every kind of store."""

from __future__ import annotations

from pathlib import Path

from cloudq.adapters.schedulers.local.scheduler import usable_cpus
from cloudq.client import Client
from cloudq.domain.jobs.job_state import JobState
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

SLEEPS = "#!/bin/bash\necho started\nsleep 300\n"


def submit(client: Client, site: Site, body: str, name: str = "job.sh", **options: str) -> str:
    return client.submit(site.script(body, name), submit_to=site.system, force=True, **options).job.uuid  # type: ignore[arg-type]


def waiting(client: Client, job_id: str) -> str:
    """Wait until the scheduler has the job, so that later ones queue behind it, and return its id."""
    wait_until(lambda: client.job(job_id).state is JobState.READY)
    return job_id


def test_every_kind_of_end_is_told_as_it_was(site: Site, tmp_path: Path) -> None:
    with site.client() as client, site.agent():
        good = submit(
            client, site, "#!/bin/bash\necho out; echo err >&2; echo data > result.txt\n", "good.sh"
        )
        bad = submit(client, site, "#!/bin/bash\necho out; exit 3\n", "bad.sh")
        slow = submit(client, site, SLEEPS, "slow.sh", submit_opt="--time 2s")
        array = submit(
            client, site,
            '#!/bin/bash\necho task $ARY_TASK_ID > out.$ARY_TASK_ID\n[ "$ARY_TASK_ID" != 2 ]\n',
            "array.sh", array_tid="1-4",
        )  # fmt: skip
        jobs = dict(zip(("good", "bad", "slow", "array"), ended(client, good, bad, slow, array), strict=True))

        assert {name: (job.state.value, job.exit_code) for name, job in jobs.items()} == {
            "good": ("DONE", 0), "bad": ("ERROR", 3), "slow": ("TIMEOUT", 143), "array": ("ERROR", 1),
        }  # fmt: skip
        assert [(task, each.state.value) for task, each in jobs["array"].tasks.items()] == [
            (1, "DONE"), (3, "DONE"), (4, "DONE"), (2, "ERROR"),
        ]  # fmt: skip
        assert (text_of(client.log(good)), text_of(client.log(good, error=True))) == ("out\n", "err\n")
        assert text_of(client.log(slow)) == "started\n"
        got = client.stage_out(array, tmp_path / "results")

    assert sorted(path.name for path in (got / "output").iterdir()) == ["out.1", "out.2", "out.3", "out.4"]
    assert site.processes_left() == []


def test_a_cancel_ends_a_job_that_is_unclaimed_pending_or_running(site: Site) -> None:
    with site.client() as client:
        unclaimed = submit(client, site, SLEEPS)
        client.cancel(unclaimed)
        assert client.job(unclaimed).state is JobState.DELETED

        with site.agent():
            running = submit(client, site, SLEEPS)
            wait_until(lambda: client.job(running).state is JobState.RUN)
            next_in_line, pending = (
                waiting(client, submit(client, site, SLEEPS, submit_opt=f"--slots {usable_cpus()}"))
                for _ in range(2)
            )
            for job_id in (running, pending):
                client.cancel(job_id)
            states = [job.state for job in ended(client, running, pending)]
            client.cancel(next_in_line)
            ended(client, next_in_line)

            assert states == [JobState.DELETED, JobState.DELETED]
            assert text_of(client.log(running)) == "started\n"
            assert text_of(client.log(pending)) == ""


def test_inputs_travel_with_a_job_and_are_no_output(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "numbers.txt").write_text("1\n2\n3\n")
    (tmp_path / "with blanks.txt").write_text("hello\n")
    script = site.script("#!/bin/bash\nwc -l < data/deep/numbers.txt > lines\ncat 'with blanks.txt'\n")
    with site.client() as client, site.agent():
        job_id = client.submit(
            script, submit_to=site.system, inputs=[folder, tmp_path / "with blanks.txt"], force=True
        ).job.uuid
        ended(client, job_id)
        got = client.stage_out(job_id, tmp_path / "results")

    assert (got / "output" / "lines").read_text().strip() == "3"
    assert sorted(path.name for path in (got / "output").iterdir()) == ["lines"]
    assert (got / "input" / "data" / "deep" / "numbers.txt").read_text() == "1\n2\n3\n"
    assert (got / "stdout").read_text() == "hello\n"


def test_a_growing_log_can_be_followed(site: Site) -> None:
    with site.client() as client, site.agent():
        job_id = submit(client, site, "#!/bin/bash\nfor i in 1 2 3 4; do echo line $i; sleep 1.2; done\n")
        pieces = list(client.follow_log(job_id, poll=0.3))

    assert b"".join(pieces).decode() == "line 1\nline 2\nline 3\nline 4\n"
    assert len(pieces) > 1
