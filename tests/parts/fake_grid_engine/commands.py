"""Play Grid Engine's commands with one state file, real processes, and faults on demand.

This file runs as a separate program with only the standard library; `tests.parts.fake_grid_engine.cell`
starts it under the names of Grid Engine's commands. Its output is that of Son of Grid Engine 8.1.9.
"""

from __future__ import annotations

import itertools
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from fake_commands import opened_state, run_command  # type: ignore[import-not-found]

HOME = Path(os.environ["SGE_ROOT"])
OWNER = pwd.getpwuid(os.geteuid()).pw_name
LOOK_EVERY_S = 0.02
MANY = 1_000_000


# qsub --------------------------------------------------------------------------------------------

VALUED = {"N", "wd", "t", "tc", "o", "e", "ac", "S", "l", "j", "v", "A", "p", "q"}
PLAIN = {"terse", "h", "cwd", "V", "notify"}


class NoSuchOption(Exception):
    """An option that the stand-in does not have."""


def qsub(words: list[str]) -> int:
    try:
        given, rest = _options(words)
        body = Path(rest[0]).read_text()
        options = _in_script(body) | given
    except NoSuchOption as unknown:
        print(f'qsub: invalid option argument "-{unknown}"', file=sys.stderr)
        return 2
    resources = dict(pair.partition("=")[::2] for pair in options.get("l", "").split(",") if pair)
    if unknown_resources := resources.keys() - {"h_rt", "s_rt", "h_vmem", "h_cpu"}:
        print(f'Unable to run job: unknown resource "{min(unknown_resources)}".\nExiting.', file=sys.stderr)
        return 1
    tasks = _tasks(options.get("t"))
    with opened_state(HOME) as state:
        job_id = str(state["next"])
        state["next"] += 1
        waiting = "hqw" if "h" in options else "qw"
        state["jobs"][job_id] = {
            "options": options,
            "resources": resources,
            "command": ["qsub", *words],
            "arguments": rest[1:],
            "body": body,
            "cwd": options.get("wd") or str(Path.cwd()),
            "max_running": int(options.get("tc", "0")) or MANY,
            "tasks": {task: {"state": waiting} for task in tasks},
        }
    argv = [sys.executable, "-I", "-S", __file__, "run", job_id]
    devnull = subprocess.DEVNULL
    with (HOME / "runner.log").open("ab") as log:
        subprocess.Popen(argv, stdin=devnull, stdout=devnull, stderr=log, start_new_session=True, cwd="/")
    print(f"{job_id}.{options['t']}" if "t" in options else job_id)
    return 0


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    found, rest = {}, list(words)
    while rest and rest[0].startswith("-"):
        name = rest.pop(0)[1:]
        if name not in VALUED | PLAIN:
            raise NoSuchOption(name)
        value = rest.pop(0) if name in VALUED else ""
        found[name] = f"{found[name]},{value}" if name == "ac" and name in found else value
    return found, rest


def _in_script(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in body.splitlines():
        if line.startswith("#$"):
            found |= _options(line[2:].partition("#")[0].split())[0]
    return found


def _tasks(array: str | None) -> list[str]:
    if array is None:
        return [""]
    span, _, step = array.partition(":")
    first, _, last = span.partition("-")
    return [str(task) for task in range(int(first), int(last or first) + 1, int(step or 1))]


# Running jobs ------------------------------------------------------------------------------------


def run(words: list[str]) -> int:
    """Play the host: start the tasks that may start and end those that must end, until the job is over."""
    (job_id,) = words
    running: dict[str, Running] = {}
    while True:
        with opened_state(HOME) as state:
            job = state["jobs"].get(job_id)
            if job is None:
                for it in running.values():
                    os.killpg(it.process.pid, signal.SIGKILL)
                return 0
            for task, each in list(job["tasks"].items()):
                if task in running:
                    _look_after(running, job_id, task, each, job, state)
                elif each.get("cancel"):
                    del job["tasks"][task]  # a task that never ran has no account
                else:
                    _start_or_not(running, task, each, job, job_id, state)
            if not job["tasks"]:
                del state["jobs"][job_id]
        time.sleep(LOOK_EVERY_S)


class Running:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.begun = time.monotonic()
        self.failed = 0
        """The reason why it is being killed."""


def _start_or_not(
    running: dict[str, Running], task: str, each: dict[str, Any], job: Any, job_id: str, state: dict[str, Any]
) -> None:
    if each["state"] not in {"qw", "Rq"} or state["holds"] or not _has_turn(job_id, state):
        return
    try:
        running[task] = Running(_start(job_id, task, job))
        each["state"] = "r"
    except OSError as error:
        each.update(state="Eqw", error=f"error: can't open output file: {error}")
        _note_account(state, job_id, task, job, failed=26, exit_status=0, wallclock=0)


def _has_turn(job_id: str, state: dict[str, Any]) -> bool:
    busy = sum(
        each["state"] in {"r", "dr"} for job in state["jobs"].values() for each in job["tasks"].values()
    )
    if busy >= state["slots"]:
        return False
    for other_id in sorted(state["jobs"], key=int):
        job = state["jobs"][other_id]
        states = [each["state"] for each in job["tasks"].values()]
        may_start = states.count("r") < job["max_running"] and bool({"qw", "Rq"} & set(states))
        if other_id == job_id or (may_start and int(other_id) < int(job_id)):
            return other_id == job_id and may_start
    return False


def _start(job_id: str, task: str, job: Any) -> subprocess.Popen[bytes]:
    options = job["options"]
    spool = HOME / f"job_scripts.{job_id}.{task}"
    spool.write_text(job["body"])
    env = dict(os.environ) | {"JOB_ID": job_id, "SGE_TASK_ID": task or "undefined"}
    name = options.get("N", "job")
    suffix = f".{task}" if task else ""
    output = _opened(options.get("o", f"{name}.o{job_id}{suffix}"), job_id, task, job)
    try:
        joined = options.get("j", "n")[0] == "y"
        error = os.dup(output) if joined else _opened(
            options.get("e", f"{name}.e{job_id}{suffix}"), job_id, task, job
        )  # fmt: skip
        try:
            return subprocess.Popen(
                [options.get("S", "/bin/sh"), str(spool), *job["arguments"]], cwd=job["cwd"], env=env,
                stdin=subprocess.DEVNULL, stdout=output, stderr=error, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(error)
    finally:
        os.close(output)


def _opened(pattern: str, job_id: str, task: str, job: Any) -> int:
    name = pattern.replace("$TASK_ID", task).replace("$JOB_ID", job_id)
    return os.open(Path(job["cwd"]) / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)


def _look_after(
    running: dict[str, Running], job_id: str, task: str, each: dict[str, Any], job: Any, state: dict[str, Any]
) -> None:
    it = running[task]
    code = it.process.poll()
    spent = time.monotonic() - it.begun
    if code is not None:
        del running[task]
        status = code if code >= 0 else 128 - code
        failed = it.failed or {99: 25, 100: 30}.get(status, 100 if code < 0 else 0)
        _note_account(state, job_id, task, job, failed=failed, exit_status=status, wallclock=spent)
        if failed == 25:
            each["state"] = "Rq"
        elif failed == 30:
            each.update(state="Eqw", error="exit_status of job start = 100")
        else:
            del job["tasks"][task]
        return
    limit = job["resources"].get("h_rt")
    late = limit is not None and spent > _seconds(limit)
    if not it.failed and (each.get("cancel") or late):
        it.failed = 37 if late else 100
        each["state"] = "r" if late else "dr"
        os.killpg(it.process.pid, signal.SIGKILL)


def _seconds(limit: str) -> int:
    total = 0
    for part in limit.split(":"):
        total = total * 60 + int(part or 0)
    return total


def _note_account(
    state: dict[str, Any],
    job_id: str,
    task: str,
    job: Any,
    *,
    failed: int,
    exit_status: int,
    wallclock: float,
) -> None:
    resources = ",".join(f"{name}={value}" for name, value in job["resources"].items())
    state["accounts"].append(
        {
            "job_id": job_id,
            "task": task,
            "failed": failed,
            "exit_status": exit_status,
            "wallclock": round(wallclock),
            "category": f"-l {resources}" if resources else "NONE",
            "command": " ".join(job["command"]) if state["keeps_commands"] else "",
            "visible_at": time.time() + state["accounting_delay"],
        }
    )


# qstat, qdel, qacct ------------------------------------------------------------------------------


def qstat(words: list[str]) -> int:
    with opened_state(HOME) as state:
        jobs = state["jobs"]
    if "-g" in words:
        return _queues(jobs, state["slots"])
    if "-j" in words:
        return _details(jobs, words[words.index("-j") + 1].split(","))
    print("<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"http://x/qstat.xsd\">\n  <queue_info>")
    for job_id, job in jobs.items():
        for task, each in job["tasks"].items():
            if "r" in each["state"]:
                _print_row(job_id, job, state["strange_state"] or each["state"], task)
    print("  </queue_info>\n  <job_info>")
    for job_id, job in jobs.items():
        by_state: dict[str, list[str]] = {}
        for task, each in job["tasks"].items():
            if "r" not in each["state"]:
                by_state.setdefault(each["state"], []).append(task)
        for letters, tasks in by_state.items():
            _print_row(job_id, job, state["strange_state"] or letters, _shown(tasks))
    print("  </job_info>\n</job_info>")
    return 0


def _queues(jobs: dict[str, Any], slots: int) -> int:
    used = sum("r" in each["state"] for job in jobs.values() for each in job["tasks"].values())
    print(f"CLUSTER QUEUE                   CQLOAD   USED    RES  AVAIL  TOTAL aoACDS  cdsuE  \n{'-' * 80}")
    print(
        f"all.q                             0.01 {used:6d}      0 {slots - used:6d} {slots:6d}      0      0 "
    )
    return 0


def _print_row(job_id: str, job: Any, letters: str, tasks: str) -> None:
    kind = "running" if "r" in letters else "pending"
    print(f'    <job_list state="{kind}">\n      <JB_job_number>{job_id}</JB_job_number>')
    print(f"      <JB_name>{job['options'].get('N', 'job')}</JB_name>\n      <JB_owner>{OWNER}</JB_owner>")
    print(f"      <state>{letters}</state>")
    print(f"      <tasks>{tasks}</tasks>\n    </job_list>" if tasks else "    </job_list>")


def _shown(tasks: list[str]) -> str:
    """Return ids with one constant distance as a range, others as a list."""
    ids = sorted(int(task) for task in tasks if task)
    steps = {second - first for first, second in itertools.pairwise(ids)}
    return f"{ids[0]}-{ids[-1]}:{min(steps)}" if len(ids) > 2 and len(steps) == 1 else ",".join(map(str, ids))


def _details(jobs: dict[str, Any], wanted: list[str]) -> int:
    known = [job_id for job_id in wanted if job_id in jobs]
    if not known:
        print(f"Following jobs do not exist: \n{', '.join(wanted)}", file=sys.stderr)
        return 1
    for job_id in known:
        print(f"{'=' * 62}\njob_number:                 {job_id}\nowner:                      {OWNER}")
        if "ac" in jobs[job_id]["options"]:
            print(f"context:                    {jobs[job_id]['options']['ac']}")
        for task, each in jobs[job_id]["tasks"].items():
            if "error" in each:
                print(f"error reason    {task or 1:>5}:      11/22/2026 21:13:38 [0:13260]: {each['error']}")
    return 0


def qdel(words: list[str]) -> int:
    status = 0
    with opened_state(HOME) as state:
        only = words[words.index("-t") + 1] if "-t" in words else ""
        for job_id in words[: words.index("-t")] if only else words:
            job = state["jobs"].get(job_id)
            if job is None or (only and only not in job["tasks"]):
                print(f'denied: job "{job_id}" does not exist')
                status = 1
                continue
            for task, each in job["tasks"].items():
                each["cancel"] = each.get("cancel") or only in {"", task}
            runs = any("r" in each["state"] for each in job["tasks"].values())
            words_for = "has registered the job {} for deletion" if runs else "has deleted job {}"
            print(f"{OWNER} {words_for.format(job_id)}")
    return status


def qacct(words: list[str]) -> int:
    job_id = words[words.index("-j") + 1]
    with opened_state(HOME) as state:
        accounts = state["accounts"]
        if not state["accounting"]:
            print(f"{HOME}/common/accounting: No such file or directory\nno jobs running since startup",
                  file=sys.stderr)  # fmt: skip
            return 1
    found = [each for each in accounts if each["job_id"] == job_id and each["visible_at"] <= time.time()]
    if not found:
        print(f"error: job id {job_id} not found", file=sys.stderr)
        return 1
    for each in found:
        _print_account(each)
    return 0


FAILED = {
    0: "", 25: ": rescheduling", 26: ": opening input/output file", 30: ": application error returned",
    37: ": qmaster enforced h_rt, h_cpu, or h_vmem limit", 100: ": assumedly after job",
}  # fmt: skip


def _print_account(each: dict[str, Any]) -> None:
    killed = "                 (Killed)" if each["exit_status"] == 137 else ""
    print("=" * 62)
    for name, value in (
        ("qname", "main.q"),
        ("owner", OWNER),
        ("jobname", "job"),
        ("jobnumber", each["job_id"]),
        ("taskid", each["task"] or "undefined"),
        ("qsub_time", "Sun Nov 22 21:11:43 2026"),
        ("failed", f"{each['failed']:<3} {FAILED.get(each['failed'], '')}"),
        ("exit_status", f"{each['exit_status']}{killed}"),
        ("ru_wallclock", f"{each['wallclock']}s"),
        ("cpu", "0.009s"),
        ("maxvmem", "4.820MB"),
        ("category", each["category"]),
        *((("submit_cmd", each["command"]),) if each["command"] else ()),
    ):
        print(f"{name:<13}{value}")


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "qsub": qsub,
    "qstat": qstat,
    "qdel": qdel,
    "qacct": qacct,
}

if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    sys.exit(run(rest) if name == "run" else run_command(HOME, COMMANDS, name, rest))
