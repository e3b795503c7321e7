"""The options that a user gives to ``sbatch``, in the script's header lines and in ``--submit_opt``.

cloudq interprets only the options that it needs. All others, including those of a site's own plugins, are
passed to ``sbatch`` unchanged.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import field, frozen

from cloudq.domain.errors import InvalidInput, SubmitRefused
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.header import HeaderSyntax

PREFIX = "#SBATCH"
FOREIGN = ("#PBS", "#BSUB")
"""Header lines that sbatch also reads, unless it has the option ``--ignore-pbs``."""

HEADER = HeaderSyntax(PREFIX, also=FOREIGN)

_TRANSLATED: Mapping[str, Mapping[str, str]] = {
    "#PBS": {"N": "job-name", "o": "output", "e": "error", "J": "array", "t": "array"},
    "#BSUB": {"J": "job-name", "o": "output", "e": "error"},
}
"""The options in these lines that cloudq needs, with the names that sbatch translates them to."""

_REFUSED: Mapping[str, str] = {
    "autocomplete": "nothing would be submitted",
    "cluster": "a job on another cluster cannot be followed",
    "clusters": "a job on another cluster cannot be followed",
    "external": "Slurm would not start the script",
    "gid": "a job of cloudq belongs to the account of its agent",
    "help": "nothing would be submitted",
    "hetjob": "heterogeneous jobs cannot be followed",
    "packjob": "heterogeneous jobs cannot be followed",
    "test-only": "nothing would be submitted",
    "uid": "a job of cloudq belongs to the account of its agent",
    "usage": "nothing would be submitted",
    "version": "nothing would be submitted",
    "wait": "the agent does not wait for one job; wait for it in cloudq",
    "wrap": "it replaces the jobscript",
}
"""Rejected options, which block, only test or hide the job, with the reason."""


def _names(*lines: str) -> frozenset[str]:
    return frozenset(name for line in lines for name in line.split())


_VALUED = _names(
    "account acctg-freq array autocomplete batch bb bbf begin chdir cluster cluster-constraint clusters",
    "comment constraint container container-id container-type context core-spec cores-per-socket",
    "cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error exclude",
    "export export-file extra extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket",
    "gpus-per-task gres gres-flags hint input job-name kill-on-invalid-dep licenses mail-type mail-user",
    "mcs-label mem mem-bind mem-per-cpu mem-per-gpu mem-update mincpus network nodefile nodelist nodes",
    "ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode",
    "output partition power prefer priority profile qos reservation resources runtime segment signal",
    "sockets-per-node switches tasks-per-node thread-spec threads-per-core time time-min tmp tres-bind",
    "tres-per-task uid wait-all-nodes wckey workdir wrap",
)
"""Options of any sbatch from 20.11 to 26.11 that take the next word if they have no ``=value``."""

_PLAIN = _names(
    "consolidate-segments contiguous exclusive external get-user-env help hold ignore-pbs nice no-bell",
    "no-kill no-requeue oom-kill-step overcommit oversubscribe parsable propagate quiet reboot requeue",
    "resv-ports share spread-job spread-segments stepmgr test-only usage use-min-nodes verbose version",
    "wait",
)
"""Options without a value, or with a value that must follow a ``=``."""

_KNOWN = _VALUED | _PLAIN

_SHORT: Mapping[str, str] = {
    "A": "account", "B": "extra-node-info", "C": "constraint", "D": "chdir", "F": "nodefile",
    "G": "gpus", "H": "hold", "J": "job-name", "L": "licenses", "M": "clusters", "N": "nodes",
    "O": "overcommit", "Q": "quiet", "S": "core-spec", "V": "version", "W": "wait", "a": "array",
    "b": "begin", "c": "cpus-per-task", "d": "dependency", "e": "error", "h": "help", "i": "input",
    "k": "no-kill", "m": "distribution", "n": "ntasks", "o": "output", "p": "partition", "q": "qos",
    "s": "oversubscribe", "t": "time", "u": "usage", "v": "verbose", "w": "nodelist", "x": "exclude",
    "?": "help",
}  # fmt: skip

_REST_IS_VALUE = frozenset({"no-kill"})
"""Short options whose value, if any, is the rest of their word."""


DEFAULTS: Mapping[str, str] = {"SBATCH_JOB_NAME": "job-name"}
"""Variables that give sbatch defaults for options that cloudq would otherwise add."""

IGNORED_DEFAULTS: Mapping[str, str] = {
    "SBATCH_ARRAY_INX": "every job would become an array; use array_tid",
    "SBATCH_CLUSTERS": "a job on another cluster cannot be followed",
    "SBATCH_ERROR": "set the output in the script or in submit_opt; by default it goes to cloudq's log",
    "SBATCH_INPUT": "set the input in the script",
    "SBATCH_OUTPUT": "set the output in the script or in submit_opt; by default it goes to cloudq's log",
    "SBATCH_WAIT": "the agent does not wait for one job",
    "SLURM_CLUSTERS": "a job on another cluster cannot be followed",
}
"""Default variables that no submit command of cloudq receives, with the reason shown to the user."""


@frozen
class SlurmOptions:
    """The options that cloudq needs, by long name; the last occurrence counts."""

    values: Mapping[str, str] = field(factory=dict)

    def has(self, name: str) -> bool:
        """Return whether the user gave this option."""
        return name in self.values

    @property
    def array(self) -> ArrayRange | None:
        """The requested tasks; `read_slurm_options` has checked that they can be read."""
        text = self.values.get("array")
        return None if text is None else ArrayRange.parse(text, lowest=0)


def read_slurm_options(
    words: Sequence[str], header_lines: Sequence[str], environ: Mapping[str, str] | None = None
) -> SlurmOptions:
    """Read header lines, then *words*, which take precedence. Raises `SubmitRefused` with all problems.

    *environ* is the environment of sbatch: a default that is set in it also counts as the user's choice.
    """
    problems: list[str] = []
    values: dict[str, str] = {}
    for line in header_lines:
        if line.startswith(PREFIX):
            values.update(_pairs(split_header_line(line), line, problems, in_script=True))
    given = dict(_pairs(words, "submit_opt", problems, in_script=False))
    if "ignore-pbs" not in values | given and "SBATCH_IGNORE_PBS" not in (environ or {}):
        values.update(pair for line in header_lines for pair in _translated(line))
    values.update((option, environ[name]) for name, option in DEFAULTS.items() if environ and name in environ)
    values.update(given)
    try:
        if "array" in values:
            ArrayRange.parse(values["array"], lowest=0)
    except InvalidInput as problem:
        problems.append(str(problem))
    if problems:
        raise SubmitRefused("; ".join(problems))
    return SlurmOptions(values)


def _translated(line: str) -> Iterator[tuple[str, str]]:
    """Yield the options in a line for another scheduler, by the names that sbatch has for them."""
    prefix, _, text = line.partition(" ")
    names = _TRANSLATED.get(prefix, {})
    words = text.split()
    for word, following in pairwise([*words, ""]):
        if word[:1] == "-" and word[1:2] in names:
            yield names[word[1]], word[2:] or following


def split_header_line(line: str) -> list[str]:
    """Split a header line into words as sbatch does: quotes group, and an unquoted ``#`` ends the line."""
    text = line.removeprefix(PREFIX)
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # an unclosed quote: sbatch reports it
        return text.split()


def _pairs(
    words: Sequence[str], source: str, problems: list[str], *, in_script: bool
) -> Iterator[tuple[str, str]]:
    """Yield options with their values; add what must not reach sbatch to *problems*."""
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        if not word.startswith("-") or word in {"-", "--"}:
            if in_script and word in {"hetjob", "packjob"}:
                problems.append(f"{source}: {word}: {_REFUSED[word]}")
            elif not in_script:
                problems.append(
                    f"{source}: {word!r} is not an option: sbatch would take it for the jobscript"
                )
            continue
        for name, value in _read_word(word, remaining, source, problems):
            if name in _REFUSED:
                problems.append(f"{source}: --{name}: {_REFUSED[name]}")
            yield name, value


def _read_word(
    word: str, remaining: list[str], source: str, problems: list[str]
) -> Iterator[tuple[str, str]]:
    if word.startswith("--"):
        given, separator, value = word[2:].partition("=")
        name = _long_name(given)
        if name not in _KNOWN and (meant := _refused_beginnings(given)):
            # Its full name depends on the other options that this sbatch has.
            problems.append(f"{source}: --{given}: write the option in full: it may stand for --{meant[0]}")
        if separator:
            yield name, value
        elif name in _VALUED:
            yield name, remaining.pop(0) if remaining else ""
        else:
            if name not in _PLAIN and remaining and not remaining[0].startswith("-"):
                # It is not known here whether its value follows; if not, the next word would be the
                # jobscript.
                problems.append(f"{source}: write --{given}={remaining.pop(0)}")
            yield name, ""
        return
    letters = word[1:]
    while letters:
        name, letters = _SHORT.get(letters[0], letters[0]), letters[1:]
        if name in _REST_IS_VALUE:
            yield name, letters
            return
        if name in _VALUED:
            yield name, letters or (remaining.pop(0) if remaining else "")
            return
        yield name, ""


def _long_name(given: str) -> str:
    """Return the option that sbatch takes *given* for: unambiguous abbreviations are allowed."""
    if given in _KNOWN:
        return given
    matching = [name for name in _KNOWN if given and name.startswith(given)]
    return matching[0] if len(matching) == 1 else given


def _refused_beginnings(given: str) -> list[str]:
    return sorted(name for name in _REFUSED if given and name.startswith(given))


def file_pattern(path: str) -> str:
    """Escape *path* for ``--output``, where a percent sign has a meaning."""
    return re.sub("%", "%%", path)
