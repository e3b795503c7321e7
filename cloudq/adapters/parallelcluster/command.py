"""The ``pcluster`` command: its location, its invocation and the meaning of its answers.

It is installed in a separate Python environment, because its pinned dependencies conflict with cloudq's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

from cloudq.adapters.portable_process import DidNotEnd, Ended, run_portably
from cloudq.domain.clusters.preset import PLANNED_SUBNET
from cloudq.domain.errors import CloudRefused, CloudUnavailable, ConfigurationRejected, ToolMissing

TESTED = "3.16.1"
OLDEST = (3, 16)
"""The oldest version with which the presets were tested."""

CONFIGURATION_FILE = "cluster.yaml"

_LIMIT_S = 900.0
_DRY_RUN_PASSED = "DryRun flag is set"
_EXISTS = "already exists"
_GONE = "does not exist"
_VERSION = re.compile(r"(\d+)\.(\d+)\.\d+")
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_PYTHONS_OWN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")

Run = Callable[[Sequence[str], Mapping[str, str], float], Ended]


def find_pcluster(home: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the path of the command: in the environment below *home*, else on the PATH, else None."""
    folder, name = ("Scripts", "pcluster.exe") if os.name == "nt" else ("bin", "pcluster")
    own = home / "parallelcluster" / folder / name
    if own.is_file():
        return own
    path = shutil.which("pcluster", path=environ.get("PATH"))
    return Path(path) if path else None


def how_to_install(home: Path) -> str:
    """Return instructions for a user who does not have the command."""
    place = home / "parallelcluster"
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    return (
        "Install it in a separate environment, and also Node.js (nodejs.org), which it needs:\n"
        f"  python3 -m venv {place}\n"
        f"  {python} -m pip install 'aws-parallelcluster=={TESTED}'"
    )


@frozen
class Pcluster:
    """The calls of ``pcluster``, each of which answers with one JSON document on its stdout."""

    home: Path
    environ: Mapping[str, str]
    region: Callable[[], str]
    profile: str = ""
    run: Run = run_portably

    def check(self) -> None:
        """Raise `ToolMissing` unless the command is installed in a usable version."""
        path = self._path()
        ended = self._run((str(path), "version"))
        match = _VERSION.search(ended.stdout)
        if ended.status or match is None:
            raise ToolMissing(f"{path} does not work: {_last_line(ended)}\n{how_to_install(self.home)}")
        version = int(match[1]), int(match[2])
        if version[0] != OLDEST[0] or version < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise ToolMissing(
                f"{path} is ParallelCluster {match[0]}; version 3, {oldest} or newer, is required\n"
                f"{how_to_install(self.home)}"
            )

    def create(self, name: str, configuration: str) -> None:
        """Begin to create a cluster; an existing one is no error. Raises `ConfigurationRejected`."""
        with _as_file(configuration) as file:
            argv = ("create-cluster", "--cluster-name", name, "--cluster-configuration", file)
            answer = self._ask(*argv)
        if _EXISTS not in _message(answer):
            _complain(answer, is_bad="cluster" not in answer)

    def check_configuration(self, name: str, configuration: str, *, deeply: bool) -> None:
        """Raise `ConfigurationRejected` if the configuration cannot be used; create nothing.

        Only the message shows that it passed: the exit status is 1 either way.
        """
        shallow = () if deeply else ("--suppress-validators", "ALL")
        with _as_file(configuration) as file:
            answer = self._ask(
                "create-cluster", "--cluster-name", name, "--cluster-configuration", file, "--dryrun", "true",
                *shallow,
            )  # fmt: skip
        # The schema is checked before the subnets: a complaint about a planned subnet shows a valid schema.
        passed = (_EXISTS, _DRY_RUN_PASSED, *(() if deeply else (PLANNED_SUBNET,)))
        _complain(answer, is_bad=not any(sign in _message(answer) for sign in passed))

    def delete(self, name: str) -> None:
        """Begin to delete a cluster; a missing one is no error."""
        answer = self._ask("delete-cluster", "--cluster-name", name)
        if _GONE not in _message(answer):
            _complain(answer, is_bad="cluster" not in answer)

    def failures(self, name: str) -> tuple[str, ...]:
        """Return the reasons that ``pcluster`` gives for a failed creation."""
        failures = self._ask("describe-cluster", "--cluster-name", name).get("failures") or []
        return tuple(
            f"{failure.get('failureCode', '')}: {failure.get('failureReason', '')}" for failure in failures
        )

    def _ask(self, *args: str) -> dict[str, Any]:
        argv = (str(self._path()), *args, "--region", self.region())
        ended = self._run(argv)
        try:
            answer = json.loads(ended.stdout)
        except ValueError as error:
            raise CloudUnavailable(
                f"pcluster {args[0]} gave an unreadable answer (exit status {ended.status}): "
                f"{_last_line(ended)}; its log is ~/.parallelcluster/pcluster-cli.log"
            ) from error
        return answer if isinstance(answer, dict) else {}

    def _path(self) -> Path:
        path = find_pcluster(self.home, self.environ)
        if path is None:
            raise ToolMissing(
                f"the command pcluster of AWS ParallelCluster is missing\n{how_to_install(self.home)}"
            )
        return path

    def _run(self, argv: Sequence[str]) -> Ended:
        try:
            return self.run(argv, self._environment(), _LIMIT_S)
        except DidNotEnd as error:
            raise CloudUnavailable(str(error)) from error

    def _environment(self) -> dict[str, str]:
        """Return the user's environment without variables that select another profile or another Python."""
        gone = (*_PYTHONS_OWN, *(_KEYS if self.profile else ()))
        env = {name: value for name, value in self.environ.items() if name not in gone}
        env["PYTHONIOENCODING"] = "utf-8"
        if self.profile:
            env["AWS_PROFILE"] = self.profile  # keys in variables would take precedence
        return env


@contextmanager
def _as_file(configuration: str) -> Iterator[str]:
    with TemporaryDirectory(prefix="cloudq-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / CONFIGURATION_FILE
        file.write_text(configuration, encoding="utf-8")
        yield str(file)


def _message(answer: Mapping[str, Any]) -> str:
    return str(answer.get("message", ""))


def _complain(answer: Mapping[str, Any], *, is_bad: bool) -> None:
    if not is_bad:
        return
    problems = [error for error in answer.get("configurationValidationErrors") or () if _is_error(error)]
    message = " ".join(_message(answer).split()) or "no reason was given"
    if problems or "onfiguration" in message:
        lines = [f"cluster.yaml: {' '.join(str(error.get('message', '')).split())}" for error in problems]
        raise ConfigurationRejected(lines or f"cluster.yaml: {message}")
    raise CloudRefused(f"pcluster: {message}")


def _is_error(problem: Mapping[str, Any]) -> bool:
    return bool(problem.get("level", "ERROR") == "ERROR")


def _last_line(ended: Ended) -> str:
    lines = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
    return lines[-1][:300] if lines else "it printed nothing"
