"""The environment of the commands of meta jobs: the agent's store, wherever it was configured."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from cloudq.bootstrap.job_environment import job_environment
from cloudq.config import load_config

SERVICE = {
    "CLOUDQ_STORE_ENDPOINT_URL": "https://s3.example.com",
    "CLOUDQ_STORE_BUCKET": "my-jobs",
    "CLOUDQ_STORE_PROFILE": "tests",
    "CLOUDQ_STORE_REGION": "us-east-1",
    "CLOUDQ_STORE_ADDRESSING_STYLE": "path",
}
FILE = '[store]\nendpoint_url = "https://elsewhere.example.com"\nbucket = "another"\n'


@pytest.mark.parametrize("file", ["", FILE])
@pytest.mark.parametrize("variables", [{}, SERVICE])
def test_the_commands_of_a_job_know_the_agent_s_store(
    tmp_path: Path, variables: dict[str, str], file: str
) -> None:
    (tmp_path / "config.toml").write_text(file)
    agent = load_config({"CLOUDQ_HOME": str(tmp_path), **variables})

    told = load_config(job_environment(agent), path=agent.path)

    assert told.store == evolve(agent.store, prefix="")
    assert told.home == agent.home
