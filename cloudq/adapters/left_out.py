"""Files that could not be included, listed by name as long as there are few of them."""

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
    """A list of names with reasons; of very many, only the first ones and the count are kept."""

    count: int = 0
    _named: list[str] = field(factory=list)

    def note(self, path: str, reason: str) -> None:
        """Note that the file at *path* is left out because of *reason*."""
        self.count += 1
        if len(self._named) < MAX_NAMED:
            name = encoded(os.fsencode(path))
            shown = name if len(name) <= MAX_NAME_CHARS else f"{name[:MAX_NAME_CHARS]}…"
            self._named.append(f"{shown} ({reason})")

    def named(self) -> tuple[str, ...]:
        """Return one line per file; if there are very many, the last line gives the number of the others."""
        more = self.count - len(self._named)
        return (*self._named, *((f"… and {more} more",) if more else ()))


def kind_in_words(mode: int) -> str:
    """Return the kind of a file that is neither regular nor a directory, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "not a regular file")
