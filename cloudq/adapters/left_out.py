"""Files that cannot go along, by name as long as there are few of them."""

from __future__ import annotations

import os
import stat

from attrs import define, field

from cloudq.domain.jobs.archive_names import encoded

MAX_NAMED = 100
MAX_NAME_CHARS = 300

_KINDS = {
    stat.S_IFIFO: "a fifo", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link",
}  # fmt: skip


@define
class LeftOut:
    """Notes names with reasons; of very many it keeps the first ones and the count."""

    count: int = 0
    _named: list[str] = field(factory=list)

    def note(self, path: str, reason: str) -> None:
        """Note that the file at *path* stays behind, because of *reason*."""
        self.count += 1
        if len(self._named) < MAX_NAMED:
            name = encoded(os.fsencode(path))
            shown = name if len(name) <= MAX_NAME_CHARS else f"{name[:MAX_NAME_CHARS]}…"
            self._named.append(f"{shown} ({reason})")

    def named(self) -> tuple[str, ...]:
        """A line each; of very many the last one says how many more there are."""
        more = self.count - len(self._named)
        return (*self._named, *((f"… and {more} more",) if more else ()))


def kind_in_words(mode: int) -> str:
    """What a file that is neither regular nor a directory is."""
    return _KINDS.get(stat.S_IFMT(mode), "no file")
