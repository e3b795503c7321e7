"""The same meta jobscript with real processes, from submit to result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudq.adapters.schedulers.local.scheduler import usable_cpus
from cloudq.client import Client
from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

SCRIPT = """\
#!/bin/bash
#$ project: imaging
# what it needs
#$ resource: cpu
#$ n_resource: 1
#$ walltime: 10m

array=${ARY_TASK_FIRST-}-${ARY_TASK_LAST-}:${ARY_TASK_STEPSIZE-}
echo "$SYSTEM ${ARY_TASK_ID-} $array line $LINENO of ${0##*/}"
echo "result of ${ARY_TASK_ID-all}" > "result${ARY_TASK_ID-}.txt"
"""
SHOWN = "local  -: line 9 of mjob_local.sh\n"


def reported(client: Client, site: Site) -> None:
    """Wait until the agent has published the offer of its system."""
    wait_until(lambda: site.system in client._parts.list_agents.registry.systems())


def submitted(client: Client, site: Site, text: str = SCRIPT, **options: str) -> Job:
    reported(client, site)
    return client.submit(site.script(text, "mjob.sh"), **options).job  # type: ignore[arg-type]


def test_every_row_of_the_original_s_tables_is_so_on_this_machine(local_site: Site, tmp_path: Path) -> None:
    with local_site.client() as client, local_site.agent():
        plain = submitted(client, local_site)
        array = submitted(client, local_site, array_tid="1-5:2")
        pinned = submitted(
            client, local_site, SCRIPT.replace("# what", "#$ run_on: local\n#$ other_opts: --slots 1\n# what")
        )
        with pytest.raises(InvalidInput, match=f"n_resource 100000 is more than its {usable_cpus()} of cpu"):
            submitted(client, local_site, SCRIPT.replace("n_resource: 1", "n_resource: 100000"))
        jobs = ended(client, plain.uuid, array.uuid, pinned.uuid)
        logs = [text_of(client.log(job.uuid)) for job in (jobs[0], jobs[2])]
        tasks = [text_of(client.log(array.uuid, tid=task)) for task in (1, 3, 5)]
        got = client.stage_out(array.uuid, tmp_path / "results")
        record = json.loads(local_site.cli("stat", plain.uuid, "--json"))

    assert [job.state for job in jobs] == [JobState.DONE] * 3
    assert logs == [SHOWN, SHOWN.replace("line 9", "line 11")]
    assert tasks == [f"local {task} 1-5:2 line 9 of mjob_local.sh\n" for task in (1, 3, 5)]
    assert sorted(path.name for path in (got / "output").iterdir()) == [
        "result1.txt",
        "result3.txt",
        "result5.txt",
    ]
    assert (jobs[0].submit_to, jobs[2].submit_to) == ("", "local")
    assert (record["jobscript_type"], record["local_name"]) == ("meta", "mjob_local.sh")
    assert record["submit_opt_local"] == "--slots=1 --time=0:10:00"
    assert jobs[2].submit_opt_local == "--slots=1 --time=0:10:00 --slots 1"
    assert local_site.processes_left() == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("#!/usr/bin/env python3\n", 0),
        ("", 0),
    ],
    ids=["python", "no shebang"],
)
def test_a_script_of_any_language_is_run_by_its_interpreter(local_site: Site, text: str, code: int) -> None:
    head = "#$ project: p\n#$ resource: cpu\n#$ n_resource: 1\n"
    body = "import os; print(os.environ['SYSTEM'])\n" if "python" in text else 'echo "$SYSTEM"\n'
    with local_site.client() as client, local_site.agent():
        [job] = ended(client, submitted(client, local_site, text + head + body).uuid)
        printed = text_of(client.log(job.uuid))

    assert (job.state, job.exit_code, printed) == (JobState.DONE, code, "local\n")


def test_a_profile_and_names_of_the_site_s_own_are_used(local_site: Site) -> None:
    systems = local_site.home / "systems"
    systems.mkdir(parents=True)
    (systems / "mysite.toml").write_text(
        'extends = "local"\n[shell]\npreamble = ["export SITE=\'my own\'"]\n'
        '[resources.node]\noptions = "--slots=1"\n'
    )
    (local_site.home / "config.toml").write_text(
        '[agent]\nprofile = "mysite"\n[resources.cpu]\nlocal = "--slots={n} --time=5m"\n'
        '[resources.node2]\nlocal = "node"\n'
    )
    with local_site.client() as client, local_site.agent():
        first = submitted(client, local_site, SCRIPT.replace("#$ walltime: 10m\n", "") + 'echo "$SITE"\n')
        second = submitted(client, local_site, SCRIPT.replace("cpu", "node2"))
        jobs = ended(client, first.uuid, second.uuid)
        printed = text_of(client.log(first.uuid))

    assert [job.submit_opt_local for job in jobs] == ["--slots=1 --time=5m", "--slots=1 --time=0:10:00"]
    assert printed.endswith("\nmy own\n")


def test_metacharacters_are_values_wherever_they_stand(local_site: Site, tmp_path: Path) -> None:
    trap = tmp_path / "executed"
    nasty = f"$(touch {trap})`touch {trap}`; touch {trap} | 'x' \\ é"
    text = SCRIPT.replace("#$ walltime: 10m\n", "#$ container_img: docker://x/$(touch${IFS}executed)\n")
    (local_site.home / "systems").mkdir(parents=True)
    (local_site.home / "systems" / "local.toml").write_text('[options]\nproject = "--time=5m"\n')
    (local_site.home / "config.toml").write_text(f"[projects.imaging]\nlocal = {json.dumps(nasty)}\n")
    with local_site.client() as client, local_site.agent():
        [job] = ended(client, submitted(client, local_site, text).uuid)
        told = text_of(client.log(job.uuid, error=True))

    assert job.state is JobState.ERROR
    assert job.exit_code not in {None, 0}
    assert "no image docker://x/$(touch${IFS}executed) for CONTAINER_IMG0: the script was not started" in told
    assert not trap.exists()
    assert not list(local_site.root.rglob("executed"))
