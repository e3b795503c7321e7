"""Run clients that submit one job after the other and are killed with SIGKILL while they do so."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from attrs import define, field

from tests.parts.doomed_agent import FORKED
from tests.parts.site import Site

LIVES_S = (0.3, 2.5)


@define
class DoomedClients:
    """A sequence of clients, each with a short life."""

    site: Site
    script: Path
    seed: int
    confirmed: set[str] = field(factory=set, init=False)
    """The jobs whose submission a client confirmed."""
    problems: Counter[str] = field(factory=Counter, init=False)
    """The errors that clients reported for jobs that were not submitted, or may not have been."""
    killed: int = field(default=0, init=False)

    def submit(self, count: int) -> None:
        """Run clients until *count* submissions were confirmed."""
        chance = random.Random(self.seed)
        while len(self.confirmed) < count:
            self._live(chance.uniform(*LIVES_S), count)

    def _live(self, seconds: float, count: int) -> None:
        told, tells = FORKED.Pipe(duplex=False)
        process = FORKED.Process(
            target=_submit_again_and_again,
            args=(self.site.environment(), self.script, self.site.system, count - len(self.confirmed), tells),
            daemon=True,
        )
        process.start()
        tells.close()
        process.join(seconds)
        self.killed += process.is_alive()
        process.kill()
        process.join(60)
        self._listen(told)

    def _listen(self, told: Connection) -> None:
        try:
            while True:
                job_id, problem = told.recv()
                self.confirmed |= {job_id} - {""}
                self.problems.update({problem} - {""})
        except (EOFError, OSError):  # it was killed in the middle of a message, or had sent all
            told.close()


def _submit_again_and_again(
    environment: Mapping[str, str], script: Path, system: str, most: int, tells: Connection
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    from cloudq.client import Client
    from cloudq.config import load_config
    from cloudq.domain.errors import CloudqError

    with Client.connect(load_config(os.environ)) as client:
        for _ in range(most):
            try:
                tells.send((client.submit(script, submit_to=system, force=True).job.uuid, ""))
            except CloudqError as error:
                tells.send(("", type(error).__name__))
