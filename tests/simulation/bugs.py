"""Describe a bug that is put into the real code on purpose, and put it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from attrs import field, frozen

from tests.simulation.site import Kind, Kinds

MOST_LIVES = 5000
"""The most lives in which a bug must be found.

Some bugs show only at a rare moment. When it first comes is random, and differs after every change of the
simulation.
"""
_BUGS: list[Mutant] = []
Apply = Callable[[ExitStack], None]


@frozen
class Mutant:
    """One bug: its description, and the promises of which at least one must be seen to break."""

    name: str
    why: str
    breaks: tuple[str, ...]
    apply: Apply
    kinds: Kinds = field(factory=Kinds)
    """The assumptions that must be broken for the bug to show."""
    most_lives: int = MOST_LIVES
    """The most lives in which it must be found."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the bug into cloudq for the duration of the block."""
        with ExitStack() as stack:
            self.apply(stack)
            yield


@frozen
class Found:
    """The finding of a bug: the broken promise, the number of lives, and the seed."""

    promise: str
    lives: int
    seed: int


def mutant(why: str, *breaks: str, under: tuple[Kind, ...] = ()) -> Callable[[Apply], Apply]:
    """Add a bug to the table, under the name of the function that puts it in."""
    kinds = Kinds.told(only=[kind.value for kind in under])

    def enter(apply: Apply) -> Apply:
        name = apply.__name__.strip("_").replace("_", " ")
        _BUGS.append(Mutant(name, why, breaks, apply, kinds))
        return apply

    return enter


def registered() -> tuple[Mutant, ...]:
    """Return the bugs that were added since the last call."""
    bugs = tuple(_BUGS)
    _BUGS.clear()
    return bugs


def change(stack: ExitStack, owner: Any, name: str, new: Any) -> None:
    """Replace an attribute with *new* until *stack* closes."""
    stack.enter_context(mock.patch.object(owner, name, new))
