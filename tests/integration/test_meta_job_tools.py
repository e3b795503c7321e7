"""The commands that a meta job calls, in a real job: images before it starts, containers, copies."""

from __future__ import annotations

from pathlib import Path

from cloudq.domain.jobs.job_state import JobState
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

RUNTIME = """\
#!/bin/bash
# A stand-in: "pull FILE URL" writes a file, "exec … FILE.sif WORDS" runs the words.
if [ "$1" = pull ]; then
    echo image >"$2"
    echo "$3" >>"${0%/*}/pulled"
    exit
fi
while case $1 in *.sif) false ;; esac do shift; done
shift
exec "$@"
"""
SCRIPT = """\
#!/usr/bin/env python3
#$ project: imaging
#$ resource: cpu
#$ n_resource: 1
#$ container_img: docker://ubuntu:24.04
import os, subprocess
image = os.environ["CONTAINER_IMG0"]
print(os.path.isfile(image), flush=True)
subprocess.run(["cq_container_run", image, "echo", "in  side"], check=True)
with open("out", "w") as file:
    file.write("42")
subprocess.run(["abci_cs_cp", "out", "s3://bucket/a/out"], check=True)
subprocess.run(["abci_cs_cp", "s3://bucket/a/out", "back"], check=True)
print(open("back").read())
"""


def test_a_job_finds_its_image_its_container_and_its_bucket(local_site: Site, tmp_path: Path) -> None:
    site, programs = local_site, tmp_path / "programs"
    (site.home / "systems").mkdir(parents=True, mode=0o700)
    programs.mkdir()
    (programs / "singularity").write_text(RUNTIME)
    (programs / "singularity").chmod(0o755)
    preamble = f'[shell]\npreamble = ["export PATH={programs}:$PATH"]\n'
    (site.home / "systems" / "local.toml").write_text(preamble + '[container]\nruntime = "singularity"\n')
    store = f'[store]\nendpoint_url = "file://{tmp_path}/buckets"\nbucket = "bucket"\n'
    (site.home / "config.toml").write_text(store)
    script = site.script(SCRIPT, "mjob.py")
    with site.client() as client, site.agent():
        wait_until(lambda: "local" in client._parts.list_agents.registry.systems())
        jobs = ended(client, *(client.submit(script).job.uuid for _ in range(2)))
        printed = [text_of(client.log(job.uuid)) for job in jobs]
        told = [text_of(client.log(job.uuid, error=True)) for job in jobs]

    assert [job.state for job in jobs] == [JobState.DONE] * 2, told
    assert printed == ["True\nin  side\n42\n"] * 2
    assert (programs / "pulled").read_text() == "docker://ubuntu:24.04\n"
