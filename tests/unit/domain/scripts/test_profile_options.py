"""The options that profiles make of a meta job are those that the scheduler adapters accept."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters.systems import load_profile
from cloudq.bootstrap.schedulers import build_scheduler
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.local_script import convert
from cloudq.domain.scripts.system_mapping import SystemMapping
from cloudq.ports.batch_scheduler import Submission
from tests.parts.world import RecordingLog
from tests.unit.domain.scripts.test_conversion import RESOURCES, a_script


@pytest.mark.parametrize("array", [None, "1-9:2", "3"])
@pytest.mark.parametrize("name", RESOURCES)
def test_the_options_of_a_profile_are_taken_by_its_scheduler(
    name: str, array: str | None, tmp_path: Path
) -> None:
    profile = load_profile(name, tmp_path)
    scheduler, _ = build_scheduler(profile, tmp_path, RecordingLog())
    tasks = ArrayRange.parse(array) if array else None
    script = a_script("#$ walltime: 1:30:00\n", RESOURCES[name], n=1)
    local = convert(script, profile, SystemMapping(name), tasks)
    shell = tmp_path / "job_shell.sh"
    submission = Submission(
        ClaimTag("3f7e7681", 1), shell, tmp_path, tmp_path, local.options, array=tasks, name="mjob.sh"
    )
    plan = scheduler.plan(submission)
    command = plan.command.replace("=", " ")

    assert plan.array == tasks
    assert [word for word in local.options if word.replace("=", " ") not in command] == []
