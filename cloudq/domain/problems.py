"""A collector of problems, so that one error names everything that is wrong with an input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

from attrs import define, field

from cloudq.domain.errors import InvalidInput

P = ParamSpec("P")
T = TypeVar("T")


@define
class Problems:
    """The problems of one input, in the order in which they were added; false while there are none."""

    _texts: list[str] = field(factory=list)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def add(self, text: str) -> None:
        """Add one problem, in words."""
        self._texts.append(text)

    def extend(self, texts: Iterable[str]) -> None:
        """Add problems one by one; if *texts* raises, those before are kept."""
        self._texts.extend(texts)

    def collect(self, check: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | None:
        """Return what *check* returns; None if it raised `InvalidInput`, whose problems are added."""
        try:
            return check(*args, **options)
        except InvalidInput as error:
            self.extend(error.problems)
            return None

    def error(self, kind: type[InvalidInput] = InvalidInput) -> InvalidInput:
        """Return one error of this *kind* with all problems."""
        return kind(self._texts)

    def raise_if_any(self, kind: type[InvalidInput] = InvalidInput) -> None:
        """Raise one error of this *kind* with all problems, unless there are none."""
        if self._texts:
            raise self.error(kind)
