"""The notes that an agent keeps about its process, and the conditions under which it may run."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters import agent_process, process
from cloudq.adapters.agent_process import AgentProcess
from cloudq.adapters.mounts import Mount
from cloudq.domain.errors import RootRefused, WorkspaceProblem
from cloudq.testing.fake_clock import FakeClock

HOST_ONLY = Mount("/data", "nfs4", frozenset({"rw", "local_lock=all"}))


def test_an_agent_of_a_weak_store_needs_locks_in_its_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(agent_process, "mount_of", lambda _: HOST_ONLY)
    agent = AgentProcess(tmp_path, "alpha", FakeClock(), accept_weak_store=True)

    with pytest.raises(WorkspaceProblem, match="cannot verify that it is alone"), agent.alone():
        pass


def test_the_trouble_of_an_agent_is_kept_until_it_is_over(tmp_path: Path) -> None:
    agent = AgentProcess(tmp_path, "alpha", FakeClock())
    agent.note_trouble("the store refuses")
    assert agent.noted_trouble() == "the store refuses"

    agent.note_trouble("")
    assert agent.noted_trouble() == ""


def test_a_new_agent_has_no_trouble_of_the_one_before(tmp_path: Path) -> None:
    agent = AgentProcess(tmp_path, "alpha", FakeClock())
    agent.note_trouble("the store refuses")
    agent.note()

    assert agent.noted_trouble() == ""


def test_root_is_refused_unless_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "is_root", lambda: True)
    monkeypatch.setattr(process, "hide_own_memory", lambda: None)
    AgentProcess(tmp_path, "alpha", FakeClock(), allow_root=True).guard()

    with pytest.raises(RootRefused, match=r"set \[agent\] allow_root = true"):
        AgentProcess(tmp_path, "alpha", FakeClock()).guard()
