"""Record who did what and when, for the reader of a life that broke a promise."""

from __future__ import annotations

from attrs import define, field

from cloudq.testing.fake_clock import FakeClock
from tests.parts.world import RecordingLog


class Broken(AssertionError):
    """The error of a life that broke a promise."""


@define
class Story:
    """The lines of one life; lines that are never read cost nothing."""

    clock: FakeClock
    lines: list[tuple[float, str, str, tuple[object, ...]]] = field(factory=list)
    broken: list[str] = field(factory=list)

    def tell(self, who: str, what: str, *about: object) -> None:
        self.lines.append((self.clock.seconds, who, what, about))

    def break_(self, promise: str) -> None:
        """Note a broken promise; the life continues until it can be stopped."""
        if promise not in self.broken:
            self.broken.append(promise)
            self.tell("!!!", promise)

    def text(self) -> str:
        return "\n".join(
            f"{at:10.1f} {who:22} {what} {' '.join(str(each) for each in about)}".rstrip()
            for at, who, what, about in self.lines
        )


class ToldLog(RecordingLog):
    """A log that all agents share, and whose messages are part of the story."""

    def __init__(self, story: Story) -> None:
        super().__init__()
        self.story = story

    def warning(self, event: str, **about: object) -> None:
        super().warning(event, **about)
        self.story.tell("log", event, *about.values())

    def error(self, event: str, **about: object) -> None:
        super().error(event, **about)
        self.story.tell("log", event, *about.values())

    exception = error
