"""Make chance repeatable: everything random in a life comes from its seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from attrs import define, field, frozen

T = TypeVar("T")


@frozen
class Rates:
    """The rates of faults, each as a chance per call."""

    kill: float
    pause: float
    store: float
    scheduler: float
    submit: float
    """Chance of a fault in a submission."""
    disk: float
    slow: float
    """Chance that time passes during a call, and the heartbeat's thread runs."""

    @classmethod
    def none(cls) -> Rates:
        """Return rates without any fault."""
        return cls(0, 0, 0, 0, 0, 0, 0)


@define
class Dice:
    """The random source of one life."""

    seed: int
    random: random.Random = field(init=False)
    is_dense: bool = field(init=False)
    """Whether little time passes between events: leases are lost and won within minutes."""

    def __attrs_post_init__(self) -> None:
        self.random = random.Random(f"life {self.seed}")
        self.is_dense = self.happens(0.3)

    def happens(self, chance: float) -> bool:
        return chance > 0 and self.random.random() < chance

    def one_of(self, choices: Sequence[T]) -> T:
        return self.random.choice(choices)

    def some_of(self, choices: Sequence[T]) -> list[T]:
        """Return at least one of the choices, in any order."""
        return self.random.sample(choices, self.random.randint(1, len(choices)))

    def rates(self) -> Rates:
        """Draw the rates of a life: it has some kinds of trouble, seldom all."""
        pick = self.random.choice
        return Rates(
            kill=pick([0, 0, 0.002, 0.01, 0.03]),
            pause=pick([0, 0, 0.005, 0.02, 0.06]),
            store=pick([0, 0, 0.01, 0.05, 0.15]),
            scheduler=pick([0, 0, 0.03, 0.2]),
            submit=pick([0, 0.2, 0.6]),
            disk=pick([0, 0, 0, 0.005, 0.03]),
            slow=pick([0, 0.01, 0.1]),
        )

    def step_s(self) -> float:
        """Draw the time without an event: mostly a poll interval, now and then very long."""
        pick = self.random.random()
        if self.is_dense and pick < 0.97:
            return self.random.uniform(2, 22)
        if pick < 0.7:
            return self.random.uniform(0, 6)
        if pick < 0.92:
            return self.random.uniform(6, 70)
        return self.random.uniform(70, 400) if pick < 0.985 else self.random.uniform(400, 4000)

    def for_script(self, job_id: str, task: int | None) -> random.Random:
        """Return the random source of one script, which is the same at every request."""
        return random.Random(f"{self.seed} {job_id} {task}")
