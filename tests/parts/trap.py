"""Simulate the death of a process at a chosen call of any of its ports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from cloudq.ports.workspace import ClaimSpace


class Killed(BaseException):
    """The process is dead: nothing catches this, and no more of it runs."""


@define
class Trap:
    """A counter of port calls; the chosen one never returns, or never happens."""

    at: int | None = None
    """The number of the call at which the process dies, counted from 0."""
    after: bool = False
    """Whether the call takes effect before the process dies."""
    after_name: str = ""
    """The name of a call: die after the next one instead."""
    calls: list[str] = field(factory=list)
    sprung: bool = False

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        if self.sprung:
            raise Killed(name)
        number = len(self.calls)
        self.calls.append(name)
        if self.after_name and name == self.after_name:
            self.sprung = True
            work()
            raise Killed(name)
        if number != self.at:
            return work()
        self.sprung = True
        if self.after:
            work()
        raise Killed(name)


@define
class During(Trap):
    """A trap that calls *meanwhile* once, at the first call of *name*."""

    name: str = ""
    meanwhile: Callable[[], object] = lambda: None

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        if name == self.name and name not in self.calls:
            self.meanwhile()
        self.calls.append(name)
        return work()


class Trapped:
    """A port whose every call passes through a trap."""

    def __init__(self, inner: Any, trap: Trap, name: str) -> None:
        self._inner, self._trap, self._name = inner, trap, name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._inner, attribute)
        if not callable(found):
            return found

        def trapped(*args: Any, **kwargs: Any) -> Any:
            answer = self._trap.call(f"{self._name}.{attribute}", lambda: found(*args, **kwargs))
            return Trapped(answer, self._trap, self._name) if attribute == "making" else answer

        return trapped


class TrappedWorkspace(Trapped):
    """A workspace whose spaces are trapped too."""

    def space(self, tag: Any) -> ClaimSpace:
        return Trapped(self._inner.space(tag), self._trap, "space")
