"""An agent on a line of 2 MB/s: a transfer that fills the line delays no submission, state or cancel.

With ``SLOW_LINE_FULL_SIZE=1`` the sizes are those of the field report: a 200 MB input, and the agent's own
interval of 5 s.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define

from cloudq.client import Client
from cloudq.domain.jobs.job_state import JobState
from tests.parts.faulty_proxy import FaultyProxy, slow_way_to
from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import Site

MB = 1_000_000
LINE_BYTES_PER_S = 2 * MB
IS_FULL_SIZE = os.environ.get("SLOW_LINE_FULL_SIZE") == "1"
INPUT_BYTES = (200 if IS_FULL_SIZE else 40) * MB
INTERVAL_S = 5.0 if IS_FULL_SIZE else 1.0
MOST_CYCLES = 3
CANCEL_WITHIN_S = 10.0

CHATTY = """\
#!/bin/bash
# 4 MB/s of progress: twice what the line carries
for _ in $(seq 1 600); do head -c 4000000 /dev/zero | tr '\\0' '.'; echo; sleep 1; done
"""


@define
class SlowSite:
    """A site of which only the agent reaches the store over the slow line."""

    site: Site
    line: FaultyProxy
    client: Client

    def submit(self, body: str, name: str, *inputs: Path) -> str:
        script = self.site.script(body, name)
        return self.client.submit(script, submit_to="local", inputs=inputs).job.uuid

    def cycles(self) -> int:
        return self.line.injected().get("doorbell", 0)

    def state(self, job_id: str) -> JobState:
        return self.client.job(job_id).state


@pytest.fixture
def slow_site(moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowSite]:
    for name, value in moto_service.environment().items():
        monkeypatch.setenv(name, value)
    prefix = str(uuid.uuid4())
    with slow_way_to(moto_service, LINE_BYTES_PER_S) as line:
        variables = {
            **moto_service.environment(),
            "CLOUDQ_STORE_ENDPOINT_URL": line.service.endpoint_url,
            "CLOUDQ_STORE_BUCKET": BUCKET,
            "CLOUDQ_STORE_PREFIX": prefix,
            "CLOUDQ_AGENT_DAEMON_INTERVAL": str(INTERVAL_S),
        }
        site = Site(tmp_path, variables)
        direct = Site(tmp_path, {**variables, "CLOUDQ_STORE_ENDPOINT_URL": moto_service.endpoint_url})
        yield SlowSite(site, line, direct.client())


def seconds_until(is_so: Callable[[], bool], longest_s: float = 60.0) -> float:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < longest_s
        time.sleep(0.05)
    return time.monotonic() - began


def input_archive(root: Path) -> Path:
    folder = root / "data"
    folder.mkdir()
    with (folder / "data.bin").open("wb") as file:
        for _ in range(INPUT_BYTES // MB):
            file.write(random.randbytes(MB))
    return folder


def test_full_line_holds_up_no_submission_and_no_cancel(slow_site: SlowSite) -> None:
    site, client = slow_site.site, slow_site.client
    data = input_archive(site.root)
    with site.agent():
        chatty = slow_site.submit(CHATTY, "chatty.sh")
        seconds_until(lambda: slow_site.state(chatty) is JobState.RUN)
        next(client.log(chatty, wait=30.0))  # from here on a client follows the log
        big = slow_site.submit("#!/bin/bash\ntouch ran\n", "big.sh", data)
        seconds_until(lambda: slow_site.state(big) is JobState.INIT and bool(client.job(big).claim))
        time.sleep(3 * INTERVAL_S)

        before = slow_site.cycles()
        other = slow_site.submit("#!/bin/bash\nsleep 600\n", "other.sh")
        submit_s = seconds_until(lambda: client.job(other).time_ready is not None)
        cycles = slow_site.cycles() - before
        assert slow_site.state(big) is JobState.INIT  # its input is still being downloaded

        client.cancel(big)
        cancel_big_s = seconds_until(lambda: slow_site.state(big) is JobState.DELETED)
        client.cancel(chatty)
        records = site.home / "cache" / ".cloudq" / f"{chatty}.1"
        cancel_chatty_s = seconds_until(lambda: any(records.glob("exit*")))
        client.cancel(other)
        client.wait(other, timeout=60, poll=0.2)
    print(  # noqa: T201 (the measured values)
        f"\nsubmitted after {submit_s:.1f} s, {cycles} cycles of {INTERVAL_S:.0f} s; canceled after "
        f"{cancel_big_s:.1f} s (its {INPUT_BYTES // MB} MB input came), {cancel_chatty_s:.1f} s (chatty)"
    )

    assert cycles <= MOST_CYCLES
    assert max(cancel_big_s, cancel_chatty_s) < CANCEL_WITHIN_S
    assert not list((site.home / "cache").glob(f"{big}*/ran"))
