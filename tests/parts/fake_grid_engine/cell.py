"""Provide stand-ins for Grid Engine's commands on a separate PATH, which fail when a test requires it."""

from __future__ import annotations

from pathlib import Path

from tests.parts.fake_commands import FakeScheduler

COMMANDS = ("qsub", "qstat", "qdel", "qacct")


class FakeGridEngine(FakeScheduler):
    """The state that the commands share, and the environment in which they are found."""

    def __init__(self, folder: Path, *, slots: int = 2) -> None:
        state = {
            "accounts": [], "slots": slots, "holds": False, "accounting": True, "accounting_delay": 0,
            "keeps_commands": False, "strange_state": "",
        }  # fmt: skip
        super().__init__(folder / "grid_engine", Path(__file__).with_name("commands.py"), COMMANDS, state)

    def environment(self) -> dict[str, str]:
        """Return the variables that a process needs to use it."""
        return {"PATH": self.path, "SGE_ROOT": str(self.home), "SGE_CELL": "cell"}

    def qdel(self, job_id: str) -> None:
        """Delete a job by hand, as another user would."""
        with self.state() as state:
            for each in state["jobs"][job_id]["tasks"].values():
                each["cancel"] = True

    def wait_until_gone(self, job_id: str) -> None:
        """Wait until a job is no longer listed."""
        self.wait_until(lambda jobs: job_id not in jobs)

    def end_everything(self) -> None:
        """Delete all jobs and wait until none runs any more."""
        with self.state() as state:
            state["holds"] = False
            for job in state["jobs"].values():
                for each in job["tasks"].values():
                    each["cancel"] = True
        self.wait_until(lambda jobs: not jobs)
