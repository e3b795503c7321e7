"""Rules that Amazon S3 enforces and moto does not, with a client and a real agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from cloudq.domain.errors import StoreRefused
from tests.parts.faulty_proxy import RULES, FaultyProxy, faulty_way_to
from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import Site, ended, wait_until

LINGERS = "#!/bin/bash\necho works\nuntil [ -e '{go}' ]; do sleep 0.1; done\necho done > result.txt\n"


@frozen
class Guarded:
    """A site with its keys in a file, and a connection to the store that enforces rules."""

    site: Site
    way: FaultyProxy
    keys: Path

    def write_keys(self, access_key: str) -> None:
        words = f"[jobs]\naws_access_key_id = {access_key}\naws_secret_access_key = secret\n"
        new = self.keys.with_suffix(".new")
        new.write_text(words)
        new.replace(self.keys)

    def status(self) -> dict[str, object]:
        told: dict[str, object] = json.loads(self.site.run("cloudqd", "--status", "--json").stdout)
        return told

    def init(self, *options: str) -> tuple[int, str]:
        file = self.site.root / "new.toml"
        store = ("--endpoint_url", self.way.service.endpoint_url, "--bucket", BUCKET, "--profile", "jobs")
        done = self.site.run("cloudqcli", "init", "--check", *store, *options, "--config", str(file))
        assert file.exists() == (done.returncode == 0)
        return done.returncode, done.stderr


@pytest.fixture
def guarded(moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    keys = tmp_path / "credentials"
    with faulty_way_to(moto_service, 0.0, 0) as way:
        variables = {
            "AWS_SHARED_CREDENTIALS_FILE": str(keys),
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": "us-east-1",
            "CLOUDQ_STORE_ENDPOINT_URL": way.service.endpoint_url,
            "CLOUDQ_STORE_BUCKET": BUCKET,
            "CLOUDQ_STORE_PREFIX": tmp_path.name,
            "CLOUDQ_STORE_PROFILE": "jobs",
        }
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, variables[name])  # for clients in this process
        rig = Guarded(Site(tmp_path, variables), way, keys)
        rig.write_keys("first")
        yield rig


def test_an_agent_goes_on_once_expired_keys_are_renewed(guarded: Guarded) -> None:
    site, go = guarded.site, guarded.site.root / "go"
    script = site.script(LINGERS.format(go=go))
    with site.agent():
        job_id = (
            site.cli("submit", "--script", str(script), "--submit_to", "local").split("(")[1].split(")")[0]
        )
        wait_until(lambda: '"RUN"' in site.cli("stat", "--id", job_id, "--json"))
        guarded.way.enforces("expired", "first")
        go.touch()
        guarded.write_keys("second")
        wait_until(lambda: '"DONE"' in site.cli("stat", "--id", job_id, "--json"), 30)

        assert guarded.way.injected()["expired"] >= 1


def test_the_status_says_what_is_wrong_while_the_store_refuses_the_keys(guarded: Guarded) -> None:
    site = guarded.site
    with site.agent():
        wait_until(lambda: guarded.status()["state"] == "running here")
        guarded.way.enforces("unknown key", "first")
        told = guarded.site.home / "run"
        wait_until(lambda: any(told.glob("local.trouble@*")), 30)
        refused = site.run("cloudqd", "--status")
        other_keys = guarded.keys.with_name("others")
        other_keys.write_text(guarded.keys.read_text().replace("first", "other"))
        site.variables["AWS_SHARED_CREDENTIALS_FILE"] = str(other_keys)
        known = guarded.status()
        guarded.way.enforces_nothing()
        wait_until(lambda: not any(told.glob("local.trouble@*")), 30)

        assert refused.returncode == 4
        assert "InvalidAccessKeyId" in refused.stderr
        assert "InvalidAccessKeyId" in str(known["last_error"])
        assert guarded.status()["last_error"] == ""


def test_jobs_go_through_a_bucket_with_object_lock(guarded: Guarded) -> None:
    site = guarded.site
    guarded.way.enforces("object lock")
    script = site.script("#!/bin/bash\nhead -c 10000000 /dev/urandom > big.bin\n")
    with site.agent():
        client = site.client()
        [job] = ended(client, client.submit(script, submit_to="local", force=True).job.uuid)

        assert job.state.value == "DONE", job
        assert (
            client.stage_out(job.uuid, site.root / "out") / "output" / "big.bin"
        ).stat().st_size == 10_000_000


def test_jobs_go_through_a_bucket_that_demands_encryption(guarded: Guarded) -> None:
    site = guarded.site
    guarded.way.enforces("encryption")
    with pytest.raises(StoreRefused, match="which sse and sse_kms_key_id in"):
        site.client().submit(site.script("#!/bin/bash\n"), submit_to="local", force=True)
    site.variables["CLOUDQ_STORE_SSE"] = "AES256"
    with site.agent():
        client = site.client()
        [job] = ended(
            client, client.submit(site.script("#!/bin/bash\n"), submit_to="local", force=True).job.uuid
        )

        assert job.state.value == "DONE", job


@pytest.mark.parametrize(
    ("rule", "advice"),
    [
        ("expired", "log in again or renew them"),
        ("unknown key", "check the access key and its secret"),
        ("encryption", "which sse and sse_kms_key_id in [store] set"),
        ("kms", "ask the owner of the encryption key for kms:GenerateDataKey and kms:Decrypt"),
        ("read only", "ask the bucket's owner for the right s3:PutObject"),
    ],
)
def test_a_check_and_doctor_give_the_advice_that_fits_the_refusal(
    guarded: Guarded, rule: str, advice: str
) -> None:
    guarded.way.enforces(rule, "first")
    status, words = guarded.init()
    doctor = guarded.site.run("cloudqcli", "doctor", "--json")

    assert (status, advice in words) == (4, True), words
    assert RULES[rule][1] in words
    assert advice in doctor.stdout


def test_a_check_passes_where_objects_can_be_written(guarded: Guarded) -> None:
    guarded.way.enforces("object lock")

    assert guarded.init() == (0, "")
