"""Run a job from installation to result on this machine, without an account or root; leave nothing behind.

    python examples/demo.py

Starts an agent in a fresh directory, submits an array job to it and shows what a user sees. Needs only an
installed cloudq. The exit status is not 0 if anything differs from what the demonstration promises.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess  # noqa: TID251 (a user's commands, run as a user runs them)
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXAMPLES = Path(os.path.relpath(Path(__file__).resolve().parent))
TASKS = (1, 2, 3, 4)
LONGEST_S = 55


class Surprise(Exception):
    """A difference from what the demonstration promises."""


def main() -> int:
    """Run the demonstration."""
    with tempfile.TemporaryDirectory(prefix="cloudq-demo-") as directory:
        environ = fresh_environment(Path(directory))
        print(f"# Everything is kept in {environ['CLOUDQ_HOME']}, which is removed at the end.", flush=True)
        try:
            with an_agent(environ):
                submit_and_look(environ, Path(directory))
            check_nothing_runs(environ, Path(directory))
        except Surprise as surprise:
            print(f"demo: {surprise}", file=sys.stderr)
            return 1
    print("\n# The agent has ended and the directory is gone.")
    return 0


def fresh_environment(directory: Path) -> dict[str, str]:
    """Return this environment without any configuration of cloudq, and with a separate home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDQ_")}
    return {
        **kept,
        "CLOUDQ_HOME": str(directory / "home"),
        "CLOUDQ_AGENT_DAEMON_INTERVAL": "1",
        "CLOUDQ_AGENT_ALLOW_ROOT": "true",  # your own jobs on your own machine, for example in a container
    }


@contextmanager
def an_agent(environ: dict[str, str]) -> Iterator[None]:
    """Run an agent in the background, and stop it in any case."""
    show(environ, "cloudqd", "--daemon", "--detach")
    try:
        yield
    finally:
        show(environ, "cloudqd", "--stop")


def submit_and_look(environ: dict[str, str], directory: Path) -> None:
    """Submit a job and do everything that a user does with it."""
    script = str(EXAMPLES / "ljob_array.local.sh")
    submit = ("submit", "--script", script, "--submit_to", "local")
    said = show(environ, "cloudqcli", *submit, "--array_tid", f"{TASKS[0]}-{TASKS[-1]}")
    job_id = said.partition("(")[2].partition(")")[0]
    show(environ, "cloudqcli", "list")
    wait_for(environ, job_id)
    stat = show(environ, "cloudqcli", "stat", "--id", job_id)
    expect("exit_code             0" in stat.splitlines(), "the job did not end with exit code 0")
    for task in TASKS[1:3]:
        log = show(environ, "cloudqcli", "log", "--id", job_id, "--tid", str(task))
        expect(f"task {task} of 1 to 4" in log, f"task {task} did not print what it should")
    expect("DONE" in show(environ, "cloudqcli", "history"), "the job is not DONE in the history")
    show(environ, "cloudqcli", "stageout", "--id", job_id, "--into", str(directory))
    show_tree(directory / job_id)


def wait_for(environ: dict[str, str], job_id: str) -> None:
    """Wait for an array job as a script does: with a second job that is held for it."""
    script = str(EXAMPLES / "ljob_hello.local.sh")
    options = ("--script", script, "--submit_to", "local", "--hold_jid", job_id, "--wait")
    show(environ, "cloudqcli", "submit", *options)
    found = run(environ, "cloudqcli", "stat", "--id", job_id, "--json")
    state = json.loads(found.stdout)["state"]
    expect(state == "DONE", f"the job is {state}, not DONE")


def show_tree(folder: Path) -> None:
    """Print the names of the files that were staged out, and the output of each task."""
    print(f"\n# What came back, in {folder.name}:")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            print(f"#   {path.relative_to(folder)}")
    for task in TASKS:
        output = folder / "output" / f"square.{task}.txt"
        expect(output.is_file(), f"the output of task {task} is missing")
        print(output.read_text(encoding="utf-8"), end="", flush=True)


def check_nothing_runs(environ: dict[str, str], directory: Path) -> None:
    """Check that the agent gave back its lease, and that no process refers to the directory."""
    said = show(environ, "cloudqd", "--status", status=13)
    expect("stopped" in said, "the agent still runs")
    mine = os.fsencode(directory)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            knows = mine in (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended, or belongs to another user
        expect(not knows, f"process {process.name} was left running")


def show(environ: dict[str, str], command: str, *arguments: str, status: int = 0) -> str:
    """Run a command as the user would type it, and print it with its output."""
    print(f"\n$ {shlex.join([command, *arguments])}", flush=True)
    ended = run(environ, command, *arguments)
    print(ended.stdout, end="")
    print(ended.stderr, end="", file=sys.stderr)
    sys.stdout.flush()
    expect(ended.returncode == status, f"{command} {arguments[0]} ended with status {ended.returncode}")
    return ended.stdout


def run(environ: dict[str, str], command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of cloudq."""
    return subprocess.run(  # noqa: S603
        [*program(command), *arguments],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=LONGEST_S,
        check=False,
    )


def program(command: str) -> list[str]:
    """Return the installed command of this Python, otherwise one on PATH, otherwise its module."""
    beside = Path(sys.executable).with_name(command)
    found = str(beside) if beside.is_file() else shutil.which(command)
    return [found] if found else [sys.executable, "-m", f"cloudq.entrypoints.{command}"]


def expect(is_so: bool, surprise: str) -> None:
    """Raise `Surprise` unless *is_so* is true."""
    if not is_so:
        raise Surprise(surprise)


if __name__ == "__main__":
    sys.exit(main())
