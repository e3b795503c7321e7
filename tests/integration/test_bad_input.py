"""Bad input to the real commands: they report the fault, its place and the remedy, and change nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.object_stores.wrappers.retrying import RetryingStore
from cloudq.bootstrap.client import wire_client
from cloudq.client import Client
from cloudq.domain.errors import StoreUnavailable
from cloudq.domain.jobs.job_state import JobState
from tests.parts.inline_workers import InlineWorkers
from tests.parts.s3_services import BUCKET, S3Service, open_s3
from tests.parts.scripted_s3 import Answer, ScriptedS3, an_error, scripted_s3
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

GOOD = "#!/bin/bash\necho hello\n"


def refused(site: Site, *words: str, status: int = 2, command: str = "cloudqcli") -> str:
    """Run a command that must fail and return its stderr lines, which contain no traceback."""
    done = site.run(command, *words)

    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert all(line.startswith(f"{command}: ") for line in done.stderr.splitlines()), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.replace(f"{command}: ", "").rstrip("\n")


def submission(site: Site, *options: str, script: Path | None = None) -> tuple[str, ...]:
    path = script or site.script(GOOD)
    return ("submit", "--script", str(path), "--submit_to", site.system, *options)


def submitted(site: Site, *options: str, script: Path | None = None) -> str:
    """Submit a job and return its id."""
    return site.cli(*submission(site, *options, script=script)).partition("(")[2].partition(")")[0]


def stored(site: Site) -> list[str]:
    """Return the keys of all objects in the directory store of a site."""
    store = site.home / "store"
    return sorted(
        path.relative_to(store).as_posix()
        for path in store.rglob("*")
        if path.is_file() and ".cloudq" not in path.parts
    )


# Scripts -----------------------------------------------------------------------------------------


def test_a_script_that_cannot_be_read_is_named_with_the_reason(local_site: Site, tmp_path: Path) -> None:
    """A loop of links stands for every unreadable file, because even root cannot open it."""
    (tmp_path / "folder.sh").mkdir()
    (tmp_path / "loop.sh").symlink_to("loop.sh")
    said = {
        name: refused(local_site, *submission(local_site, script=tmp_path / name))
        for name in ("missing.sh", "folder.sh", "loop.sh")
    }

    assert said == {
        "missing.sh": f"{tmp_path}/missing.sh: cannot be read: No such file or directory",
        "folder.sh": f"{tmp_path}/folder.sh: cannot be read: Is a directory",
        "loop.sh": f"{tmp_path}/loop.sh: cannot be read: Too many levels of symbolic links",
    }
    assert stored(local_site) == []


def test_a_script_with_windows_line_ends_is_refused_with_the_line_and_the_remedy(local_site: Site) -> None:
    script = local_site.script("#!/bin/bash\necho one\r\n", "crlf.sh")
    script.write_bytes(b"#!/bin/bash\necho one\r\necho two\r\n")

    assert refused(local_site, *submission(local_site, script=script)) == (
        "crlf.sh line 2: Windows line end (CRLF), which breaks the script on Linux; "
        "convert the file, for example with: sed -i 's/\\r$//' FILE"
    )
    assert stored(local_site) == []


def test_a_script_name_with_a_line_break_or_a_separator_is_refused(local_site: Site) -> None:
    for name, shown in (
        ("new\nline.sh", "'new\\nline.sh' has a control"),
        ("a\\b.sh", "'a\\\\b.sh' has a path"),
    ):
        said = refused(local_site, *submission(local_site, script=local_site.script(GOOD, name)))

        assert said.startswith(f"script name {shown}")
        assert len(said.splitlines()) == 1
    assert stored(local_site) == []


def test_inputs_that_cannot_go_along_are_all_named(local_site: Site, tmp_path: Path) -> None:
    for path in (tmp_path / "data.txt", tmp_path / "deep" / "data.txt"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    names = ("nothing", "data.txt", "deep/data.txt", "..", "/")
    paths = [str(tmp_path / name) if name[-1] not in "./" else name for name in names]

    assert refused(local_site, *submission(local_site, "--input", *paths)).splitlines() == [
        f"input {tmp_path}/nothing: no such file or directory",
        (
            f"input {tmp_path}/deep/data.txt: {tmp_path}/data.txt has the same name in the work directory; "
            "rename one"
        ),
        "input /: it has no name",
    ]
    assert stored(local_site) == []


def test_odd_names_and_no_shebang_run_as_they_should(local_site: Site, tmp_path: Path) -> None:
    """Without a #! line /bin/bash runs the script; no shell interprets the blanks and quotes in its name."""
    name = 'it\'s a "job" $(touch evil) ..sh'
    local_site.script('[[ -n $BASH_VERSION ]] && echo "bash ran $(basename "$0")" && cat "in put\'s"', name)
    (tmp_path / "in put's").write_text("of the input\n")
    with local_site.client() as client, local_site.agent():
        job_id = submitted(local_site, "--input", str(tmp_path / "in put's"), script=tmp_path / name)
        [job] = ended(client, job_id)
        said = text_of(client.log(job_id))

    assert (job.state, job.name, said) == (JobState.DONE, name, f"bash ran {name}\nof the input\n")
    assert not list(local_site.home.rglob("evil"))


# Options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("4-1", "array range '4-1': 1 comes before 4"),
        ("0-3", "array range '0-3': task ids begin at 1"),
        ("1-4:0", "array range '1-4:0': the step must be 1 or more"),
        ("1-99999999", "array range '1-99999999' has more than 75000 tasks"),
    ],
)
def test_an_array_that_cannot_be_is_refused(local_site: Site, text: str, words: str) -> None:
    assert refused(local_site, *submission(local_site, "--array_tid", text)) == words
    assert stored(local_site) == []


def test_an_unclosed_quote_and_jobs_that_are_not_there_are_refused_together(local_site: Site) -> None:
    said = refused(
        local_site,
        *submission(local_site, "--submit_opt", '--comment="a b', "--hold_jid", "12345678,nonsense"),
    )

    assert said.splitlines() == [
        "hold_jid: 'nonsense' is not a job id: 8 hexadecimal digits in lower case, such as 3f7e7681",
        "submit_opt '--comment=\"a b' cannot be split into words: No closing quotation",
        "hold_jid: job 12345678 does not exist",
    ]
    assert stored(local_site) == []


def test_an_option_that_the_scheduler_does_not_have_is_refused_with_its_name(local_site: Site) -> None:
    """Quoted words stay together: the blank in the comment does not start a new option."""
    unknown = ("--submit_opt", '--comment="a b" --slots "1 2"')
    words = (
        "submit_opt: --comment: unknown option (the embedded scheduler has only --slots, --time); "
        "submit_opt: --slots: '1 2' is not a number of slots"
    )
    with local_site.client() as client, local_site.agent():
        known = submitted(local_site, "--submit_opt", "--slots '1' --time=\"2m\"")
        assert ended(client, known)[0].state is JobState.DONE
        assert (
            refused(local_site, *submission(local_site, *unknown)) == f"local would refuse the job: {words}"
        )
        [by_agent] = ended(client, submitted(local_site, *unknown, "--force"))

    assert (by_agent.state, by_agent.error_msg) == (JobState.ERROR, words)


def test_ids_that_no_job_has_end_every_command_in_the_same_way(local_site: Site) -> None:
    for command in ("stat", "log", "cancel", "stageout", "delete"):
        assert refused(local_site, command, "--id", "12345678", status=5) == "Job (12345678) does not exist."
        assert refused(local_site, command, "--id", "../etc") == (
            "'../etc' is not a job id: 8 hexadecimal digits in lower case, such as 3f7e7681, "
            "the first digits of one, or 'last'"
        )


def test_a_running_job_is_not_deleted(local_site: Site) -> None:
    with local_site.client() as client, local_site.agent():
        job_id = submitted(local_site, script=local_site.script("#!/bin/bash\nsleep 3\necho survived\n"))
        wait_until(lambda: client.job(job_id).state is JobState.RUN)
        said = refused(local_site, "delete", "--id", job_id, status=7)
        [job] = ended(client, job_id)

        assert said == (
            f"Job ({job_id}) is RUN: only a finished job can be deleted. "
            f"Cancel it first: cloudqcli cancel --id {job_id}"
        )
        assert (job.state, text_of(client.log(job_id))) == (JobState.DONE, "survived\n")


def test_an_agent_that_died_is_told_by_submit_and_list(local_site: Site) -> None:
    """The agent is killed without warning; the job waits and runs when an agent is back."""
    running = local_site.start_agent()
    lease = local_site.home / "store" / "systems" / local_site.system / "lease.json"
    wait_until(lease.exists)
    running.kill()
    running.wait()
    os.utime(lease, (0, 0))
    done = local_site.run("cloudqcli", *submission(local_site))
    listed = local_site.run("cloudqcli", "list")
    job_id = done.stdout.partition("(")[2][:8]

    assert (done.returncode, listed.returncode) == (0, 0)
    assert "The agent of local has not reported for " in done.stderr
    assert "The agent of local has not reported for " in listed.stderr
    assert job_id in listed.stdout

    with local_site.client() as client, local_site.agent():
        ended(client, job_id)


# Records that anyone may have written ------------------------------------------------------------


def test_records_that_cannot_be_read_stop_neither_agent_nor_commands(local_site: Site) -> None:
    """Other jobs continue, and nothing is written to the places that such a record names."""
    jobs = local_site.home / "store" / "jobs"
    changes = {
        "no JSON": "this is no JSON",
        "newer": {"format": "2.0"},
        "path": {"name": "../../../evil.sh"},
        "directory": {"workdir": str(local_site.root / "elsewhere")},
    }
    ids = {name: submitted(local_site) for name in changes}
    good = submitted(local_site)
    for name, change in changes.items():
        manifest = jobs / ids[name] / "manifest.json"
        told = change if isinstance(change, str) else json.dumps(json.loads(manifest.read_text()) | change)
        manifest.write_text(told)
    with local_site.client() as client, local_site.agent():
        [elsewhere, _] = ended(client, ids["directory"], good)
        listed = local_site.run("cloudqcli", "list", "--long")
        said = {
            name: {
                refused(local_site, command, "--id", ids[name], status=6).splitlines()[0]
                for command in ("stat", "log", "cancel", "stageout", "delete")
            }
            for name in ("no JSON", "newer", "path")
        }

    where = {name: f"jobs/{job_id}/manifest.json" for name, job_id in ids.items()}
    assert [len(each) for each in said.values()] == [1, 1, 1]
    assert said["newer"] == {
        f"{where['newer']} has format 2.0, which a newer cloudq wrote; this one reads 1.0: upgrade cloudq"
    }
    assert said["no JSON"].pop().startswith(f"{where['no JSON']} is not what cloudq writes there")
    assert "'../../../evil.sh' has a path separator" in said["path"].pop()
    assert all(where[name] in listed.stdout for name in ("no JSON", "newer", "path"))
    assert elsewhere.workdir == str(local_site.home / "cache" / ids["directory"])
    assert not (local_site.root / "elsewhere").exists()
    assert not list(local_site.root.rglob("evil.sh"))


# Stores ------------------------------------------------------------------------------------------


def on_s3(tmp_path: Path, endpoint_url: str, bucket: str = BUCKET, **more: str) -> Site:
    """A site whose store is an S3 service."""
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
    store = {"CLOUDQ_STORE_ENDPOINT_URL": endpoint_url, "CLOUDQ_STORE_BUCKET": bucket}
    return Site(tmp_path, keys | store | more)


def test_an_empty_bucket_name_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    site = on_s3(tmp_path, "http://127.0.0.1:9", bucket="")

    for command, words in (("cloudqcli", ("list",)), ("cloudqcli", submission(site)), ("cloudqd", ())):
        assert refused(site, *words, status=3, command=command) == (
            "variable CLOUDQ_STORE_BUCKET: an S3 store needs a bucket, and [store] bucket is empty: "
            "name one there or in CLOUDQ_STORE_BUCKET"
        )


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine on which no process listens, reserved so that none can start to."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


def test_a_service_that_is_not_there_is_named_after_20_seconds(tmp_path: Path, closed_port: int) -> None:
    """The commands run side by side; each retries for 20 s in case the service comes back."""
    endpoint = f"http://127.0.0.1:{closed_port}"
    site = on_s3(tmp_path, endpoint)
    site.script(GOOD)
    asks = [("cloudqcli", ("list",)), ("cloudqcli", submission(site)), ("cloudqd", ())]
    with ThreadPoolExecutor() as side_by_side:
        said = side_by_side.map(lambda ask: refused(site, *ask[1], status=4, command=ask[0]), asks)

    for words in said:
        assert words == (
            f"bucket '{BUCKET}' at {endpoint}: "
            "Could not connect to the endpoint URL ([Errno 111] Connection refused); "
            "check endpoint_url in [store] and the network"
        )


def test_a_bucket_that_is_not_there_is_named(tmp_path: Path, moto_service: S3Service) -> None:
    site = on_s3(tmp_path, moto_service.endpoint_url, bucket="not-there")
    site.script(GOOD)

    for command, words in (("cloudqcli", ("list",)), ("cloudqcli", submission(site)), ("cloudqd", ())):
        said = refused(site, *words, status=4, command=command)

        assert said.startswith(f"bucket 'not-there' at {moto_service.endpoint_url}: NoSuchBucket ")
        assert said.endswith("; check bucket and endpoint_url in [store], or create the bucket")
        assert len(said.splitlines()) == 1


def test_a_right_that_is_missing_is_told_as_that(tmp_path: Path) -> None:
    with scripted_s3(*[an_error(403, "AccessDenied", "Access Denied")] * 20) as service:
        site = on_s3(tmp_path, service.endpoint_url)
        site.script(GOOD)
        said = [
            refused(site, *words, status=4) for words in (("list",), submission(site), ("delete", "--all"))
        ]

    assert set(said) == {
        (
            f"bucket '{BUCKET}' at {service.endpoint_url}: AccessDenied Access Denied; "
            "ask the bucket's owner for the right to list it and to read, write and delete in it; "
            "docs/doctor.md has the names of the rights"
        )
    }
    assert {asked.method for asked in service.asked} == {"GET"}


@pytest.mark.real
@pytest.mark.xdist_group("ceph")
def test_a_wrong_secret_is_told_as_that(tmp_path: Path, ceph_service: S3Service) -> None:
    right = ceph_service.environment()
    site = on_s3(tmp_path, ceph_service.endpoint_url, **(right | {"AWS_SECRET_ACCESS_KEY": "wrong"}))
    site.script(GOOD)

    for command, words in (("cloudqcli", ("list",)), ("cloudqcli", submission(site)), ("cloudqd", ())):
        assert refused(site, *words, status=4, command=command) == (
            f"bucket '{BUCKET}' at {ceph_service.endpoint_url}: SignatureDoesNotMatch; "
            "check the access key and its secret (profile in [store], AWS_* variables, ~/.aws)"
        )


BUSY = an_error(503, "SlowDown", "Please reduce your request rate.")
NO_KEYS = Answer(body=b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")


def impatient_client(service: ScriptedS3, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client that gives up after 2 s instead of 20 s."""

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    store = open_s3(bucket=BUCKET, endpoint_url=service.endpoint_url)
    ids, clock = RandomIds(), SystemClock()
    return Client(wire_client(RetryingStore(store, clock, deadline_s=2.0), clock, ids, InlineWorkers(), "me"))


def test_a_store_that_is_busy_is_asked_again_and_told_when_it_stays_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_s3(BUSY, BUSY, NO_KEYS, NO_KEYS) as service:
        client = impatient_client(service, monkeypatch)

        assert client.jobs().jobs == ()
        assert len(service.asked) == 4

        service.answers.extend([BUSY] * 50)
        with pytest.raises(StoreUnavailable, match=r"SlowDown Please reduce your request rate\.$") as told:
            client.jobs()
    assert told.value.exit_code == 4


# A full disk -------------------------------------------------------------------------------------


@pytest.fixture
def tiny_home(tmp_path: Path) -> Iterator[Site]:
    """A site whose agent has half a megabyte of disk in total, and whose store is elsewhere."""
    site = Site(tmp_path, {"CLOUDQ_STORE_ENDPOINT_URL": (tmp_path / "store").as_uri()})
    site.home.mkdir()
    if mount(site, "size=512k").returncode:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain("a file system of half a megabyte cannot be mounted here: that takes root")
    yield site
    subprocess.run(["umount", "--lazy", site.home], check=True)


def mount(site: Site, options: str) -> subprocess.CompletedProcess[str]:
    command = ["mount", "-t", "tmpfs", "-o", options, "cloudq-test", str(site.home)]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def test_jobs_wait_for_room_on_a_full_disk_and_others_go_on(tiny_home: Site, tmp_path: Path) -> None:
    """An input that does not fit, an output that fills the disk: neither is lost, and nothing runs twice."""
    (tmp_path / "big.bin").write_bytes(os.urandom(700_000))
    counts = f"#!/bin/bash\necho run >> {tmp_path}/runs\nwc -c < big.bin\n"
    with tiny_home.client() as client, tiny_home.agent() as agent:
        small = submitted(tiny_home)
        ended(client, small)
        large = submitted(tiny_home, "--input", str(tmp_path / "big.bin"), script=tiny_home.script(counts))
        wait_until(lambda: "bytes are needed in" in tiny_home.cli("list", "--long"))
        after = submitted(tiny_home)
        ended(client, after)

        assert agent.poll() is None
        assert client.job(large).state is JobState.INIT

        assert mount(tiny_home, "remount,size=8m").returncode == 0
        ended(client, large)

        assert text_of(client.log(large)).strip() == "700000"
        assert (tmp_path / "runs").read_text() == "run\n"


def test_a_job_that_fills_the_disk_ends_as_it_did_once_there_is_room(tiny_home: Site, tmp_path: Path) -> None:
    failed = tmp_path / "failed"
    fills = f"#!/bin/bash\nhead -c 2000000 /dev/urandom > out.bin && exit\ntouch '{failed}'\nexit 9\n"
    with tiny_home.client() as client, tiny_home.agent() as agent:
        job_id = submitted(tiny_home, script=tiny_home.script(fills))
        wait_until(failed.exists)

        assert agent.poll() is None
        assert mount(tiny_home, "remount,size=16m").returncode == 0
        [job] = ended(client, job_id)

    assert (job.state, job.exit_code) == (JobState.ERROR, 9)
