"""What a bug is that is put into the real code on purpose, and how it is put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from attrs import field, frozen

from tests.simulation.site import Kind, Kinds

MOST_LIVES = 5000
"""Some need a rare moment; when it comes first is chance, and another with every change of the simulation."""
_BUGS: list[Mutant] = []
Apply = Callable[[ExitStack], None]


@frozen
class Mutant:
    """One bug: what it is, and the promises of which one must be seen to break."""

    name: str
    why: str
    breaks: tuple[str, ...]
    apply: Apply
    kinds: Kinds = field(factory=Kinds)
    """The assumptions that must be broken for it to show."""
    most_lives: int = MOST_LIVES
    """How many it may take to be found."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While this lasts, cloudq has the bug."""
        with ExitStack() as stack:
            self.apply(stack)
            yield


@frozen
class Found:
    """How a bug came to light."""

    promise: str
    lives: int
    seed: int


def mutant(why: str, *breaks: str, under: tuple[Kind, ...] = ()) -> Callable[[Apply], Apply]:
    """Enter a bug into the table, by the name of the function that puts it in."""
    kinds = Kinds.told(only=[kind.value for kind in under])

    def enter(apply: Apply) -> Apply:
        name = apply.__name__.strip("_").replace("_", " ")
        _BUGS.append(Mutant(name, why, breaks, apply, kinds))
        return apply

    return enter


def registered() -> tuple[Mutant, ...]:
    """The bugs entered since this was called last."""
    bugs = tuple(_BUGS)
    _BUGS.clear()
    return bugs


def change(stack: ExitStack, owner: Any, name: str, new: Any) -> None:
    """Put *new* in the place of an attribute."""
    stack.enter_context(mock.patch.object(owner, name, new))
