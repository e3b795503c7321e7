"""The meaning of exit codes in words, by POSIX and by the conventions of shells and timeout(1)."""

from __future__ import annotations

from collections.abc import Mapping

_ENDED_BY_SIGNAL = 128
"""A shell reports the end by signal n as this number plus n."""

_CODES: Mapping[int, str] = {
    0: "success",
    124: "ended by timeout(1)",
    126: "a command could not be executed",
    127: "a command was not found",
}

_SIGNALS: Mapping[int, tuple[str, str]] = {
    1: ("SIGHUP", "hung up"),
    2: ("SIGINT", "interrupted"),
    3: ("SIGQUIT", "quit"),
    4: ("SIGILL", "illegal instruction"),
    5: ("SIGTRAP", "trapped"),
    6: ("SIGABRT", "aborted"),
    7: ("SIGBUS", "bus error"),
    8: ("SIGFPE", "arithmetic error"),
    9: ("SIGKILL", "out of memory or killed"),
    10: ("SIGUSR1", "signaled"),
    11: ("SIGSEGV", "segmentation fault"),
    12: ("SIGUSR2", "signaled"),
    13: ("SIGPIPE", "the reader of a pipe was gone"),
    14: ("SIGALRM", "its alarm clock rang"),
    15: ("SIGTERM", "asked to end"),
    24: ("SIGXCPU", "CPU time limit exceeded"),
    25: ("SIGXFSZ", "file size limit exceeded"),
}
"""The signals of Linux that end a process, by number."""


def exit_in_words(code: int) -> str:
    """Return what an exit code stands for: ``segmentation fault (SIGSEGV)``; else ``exit code 3``."""
    if code in _CODES:
        return _CODES[code]
    if code - _ENDED_BY_SIGNAL in _SIGNALS:
        name, words = _SIGNALS[code - _ENDED_BY_SIGNAL]
        return f"{words} ({name})"
    return f"exit code {code}"
