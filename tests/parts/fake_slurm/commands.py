"""Play Slurm's commands with one state file, real processes, and faults on demand.

This file runs as a separate program with only the standard library; `tests.parts.fake_slurm.cluster` starts
it under the names of Slurm's commands. Its output is that of Slurm 22.05.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from fake_commands import opened_state, run_command  # type: ignore[import-not-found]

HOME = Path(os.environ["SLURM_CONF"]).parent
ALIVE = {"PENDING", "RUNNING"}
LOOK_EVERY_S = 0.02


def note(sign: str, name: str) -> None:
    """Add one line at the start and one at the end of a command, in the order of these events."""
    with (HOME / "calls.log").open("a") as log:
        log.write(f"{sign} {name}\n")


# sbatch ------------------------------------------------------------------------------------------

SHORT = {
    "a": "array",
    "o": "output",
    "e": "error",
    "D": "chdir",
    "J": "job-name",
    "p": "partition",
    "t": "time",
}
KNOWN = {
    *SHORT.values(), "parsable", "open-mode", "comment", "hold", "signal", "requeue", "export",
    "constraint", "nodes",
}  # fmt: skip


def sbatch(words: list[str]) -> int:
    given, rest = _options(words)
    script = Path(rest[0])
    body = script.read_text()
    options = _in_script(body) | given
    if unknown := options.keys() - KNOWN:
        print(f"sbatch: unrecognized option '--{min(unknown)}'", file=sys.stderr)
        return 1
    if options.get("partition", "main") != "main":
        print(f"sbatch: error: invalid partition specified: {options['partition']}", file=sys.stderr)
        print("sbatch: error: Batch job submission failed: Invalid partition name specified", file=sys.stderr)
        return 1
    tasks, limit = _tasks(options.get("array"))
    with opened_state(HOME) as state:
        job_id = str(state["next"])
        state["next"] += 1
        state["jobs"][job_id] = {
            "options": options,
            "command": " ".join(rest),
            "arguments": rest[1:],
            "body": body,
            "cwd": str(Path.cwd() / options.get("chdir", "")),
            "submit": time.time(),
            "max_running": limit,
            "tasks": {task: {"state": "PENDING", "code": "0:0"} for task in tasks},
        }
        if not state["nodes"]:
            state["jobs"][job_id]["body"] = ""  # thousands of jobs must fit into the state
    if not state["nodes"]:
        print(job_id)
        return 0
    argv = [sys.executable, "-I", "-S", __file__, "run", job_id]
    devnull = subprocess.DEVNULL
    with (HOME / "runner.log").open("ab") as log:
        subprocess.Popen(argv, stdin=devnull, stdout=devnull, stderr=log, start_new_session=True, cwd="/")
    print(job_id)
    return 0


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    found, rest = {}, list(words)
    while rest and rest[0].startswith("-"):
        name, _, value = rest.pop(0).partition("=")
        if name.startswith("--"):
            name = name[2:]
            if name in SHORT.values() and not _:
                value = rest.pop(0)
        else:
            name, value = SHORT.get(name[1], name[1]), name[2:] or rest.pop(0)
        found[name] = value
    return found, rest


def _in_script(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in body.splitlines():
        if line.strip() and not line.startswith("#"):
            break
        if line.startswith("#SBATCH"):
            found |= _options(shlex.split(line[7:], comments=True))[0]
    return found


def _tasks(array: str | None) -> tuple[list[str], int]:
    if array is None:
        return [""], 1
    ids, _, limit = array.partition("%")
    tasks: list[str] = []
    for part in ids.split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        tasks += [str(task) for task in range(int(first), int(last or first) + 1, int(step or 1))]
    return tasks, int(limit or 1_000_000)


# Running jobs ------------------------------------------------------------------------------------


def run(words: list[str]) -> int:
    """Play the node: start the tasks that may start and end those that must end, until the job is over."""
    (job_id,) = words
    running: dict[str, Running] = {}
    while True:
        with opened_state(HOME) as state:
            job = state["jobs"].get(job_id)
            if job is None:
                return 0
            for task, each in job["tasks"].items():
                if task in running:
                    _look_after(running, task, each, job, state)
                elif each["state"] == "PENDING":
                    _start_or_not(running, task, each, job, job_id, state)
            if not any(each["state"] in ALIVE for each in job["tasks"].values()):
                return 0
        time.sleep(LOOK_EVERY_S)


class Running:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.begun = time.monotonic()
        self.ending: tuple[str, float] | None = None


def _start_or_not(
    running: dict[str, Running], task: str, each: dict[str, Any], job: Any, job_id: str, state: dict[str, Any]
) -> None:
    if each.get("cancel"):
        each.update(state="CANCELLED", code="0:0", end=time.time())
    elif "hold" not in job["options"] and _has_turn(job_id, state) and not state["holds"]:
        each.update(state="RUNNING", start=time.time())
        running[task] = Running(_start(job_id, task, job))


def _has_turn(job_id: str, state: dict[str, Any]) -> bool:
    busy = sum(each["state"] == "RUNNING" for job in state["jobs"].values() for each in job["tasks"].values())
    if busy >= state["slots"]:
        return False
    for other_id in sorted(state["jobs"], key=int):
        job = state["jobs"][other_id]
        states = [each["state"] for each in job["tasks"].values()]
        may_start = states.count("RUNNING") < job["max_running"] and "PENDING" in states
        if other_id == job_id or (may_start and int(other_id) < int(job_id)):
            return other_id == job_id and may_start
    return False


def _start(job_id: str, task: str, job: Any) -> subprocess.Popen[bytes]:
    options = job["options"]
    spool = HOME / f"slurm_script.{job_id}.{task}"
    spool.write_text(job["body"])
    env = dict(os.environ) | {"SLURM_JOB_ID": job_id, "SLURM_SUBMIT_DIR": job["cwd"]}
    if task:
        env |= {
            "SLURM_JOB_ID": str(int(job_id) * 1000 + int(task)),
            "SLURM_ARRAY_JOB_ID": job_id,
            "SLURM_ARRAY_TASK_ID": task,
        }
    flags = os.O_CREAT | os.O_WRONLY | (os.O_APPEND if options.get("open-mode") == "append" else os.O_TRUNC)
    default = "slurm-%A_%a.out" if task else "slurm-%j.out"
    output = _opened(options.get("output", default), job_id, task, job, flags)
    error = _opened(options["error"], job_id, task, job, flags) if "error" in options else os.dup(output)
    try:
        return subprocess.Popen(
            ["/bin/bash", str(spool), *job["arguments"]], cwd=job["cwd"], env=env,
            stdin=subprocess.DEVNULL, stdout=output, stderr=error, start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(output)
        os.close(error)


def _opened(pattern: str, job_id: str, task: str, job: Any, flags: int) -> int:
    for sign, value in (("%%", "\0"), ("%A", job_id), ("%j", job_id), ("%a", task), ("\0", "%")):
        pattern = pattern.replace(sign, value)
    return os.open(Path(job["cwd"]) / pattern, flags, 0o600)


def _look_after(
    running: dict[str, Running], task: str, each: dict[str, Any], job: Any, state: dict[str, Any]
) -> None:
    it = running[task]
    code = it.process.poll()
    if code is not None:
        del running[task]
        reason = it.ending[0] if it.ending else ""
        ended = reason or ("COMPLETED" if code == 0 else "FAILED")
        each.update(state=ended, code=f"{code}:0" if code >= 0 else f"0:{-code}", end=time.time())
        return
    now = time.monotonic()
    limit = _seconds(job["options"].get("time"))
    late = limit is not None and now - it.begun > limit
    if it.ending is None and (each.get("cancel") or late):
        it.ending = ("CANCELLED" if each.get("cancel") else "TIMEOUT", now)
        os.killpg(it.process.pid, signal.SIGTERM)
    elif it.ending is not None and now - it.ending[1] > state["kill_wait"]:
        os.killpg(it.process.pid, signal.SIGKILL)


def _seconds(limit: str | None) -> float | None:
    if limit is None:
        return None
    parts = [int(part) for part in limit.split(":")]
    hours, minutes, seconds = parts if len(parts) == 3 else (0, *parts, 0)[:3]
    return (hours * 60 + minutes) * 60 + seconds


# squeue, scontrol, sacct, scancel ----------------------------------------------------------------


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))


def _forget(state: dict[str, Any]) -> None:
    """Remove the jobs that ended too long ago."""
    for job_id, job in list(state["jobs"].items()):
        ends = [each.get("end") for each in job["tasks"].values()]
        if all(end is not None and time.time() - end > state["min_job_age"] for end in ends):
            del state["jobs"][job_id]


def _rows(job_id: str, job: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of squeue, one per line; pending tasks share one."""
    pending = [task for task, each in job["tasks"].items() if each["state"] == "PENDING"]
    if pending and pending != [""]:
        limit = f"%{job['max_running']}" if job["max_running"] < 1_000_000 else ""
        yield f"{job_id}_[{','.join(pending)}{limit}]", job["tasks"][pending[0]]
        pending_shown = set(pending)
    else:
        pending_shown = set()
    for task, each in job["tasks"].items():
        if task not in pending_shown:
            yield f"{job_id}_{task}" if task else job_id, each


def squeue(words: list[str]) -> int:
    (shape,) = [word.partition("=")[2] for word in words if word.startswith("--format=")]
    with opened_state(HOME) as state:
        _forget(state)
        jobs = state["jobs"]
        strange = state["strange_state"]
    for job_id, job in jobs.items():
        for shown, each in _rows(job_id, job):
            told = {
                "%i": shown,
                "%T": strange or each["state"],
                "%V": _time(job["submit"]),
                "%r": each.get("reason") or ("Resources" if each["state"] == "PENDING" else "None"),
                "%o": job["command"],
            }
            line = shape
            for sign, value in told.items():
                line = line.replace(sign, value)
            print(line)
    return 0


def scontrol(words: list[str]) -> int:
    with opened_state(HOME) as state:
        _forget(state)
    if words[-1] == "config":
        accounting = "slurmdbd" if state["accounting"] else "none"
        print(f"Configuration data as of now\nAccountingStorageType   = accounting_storage/{accounting}")
        print(f"MaxArraySize            = {state['max_array_size']}")
        print(f"MinJobAge               = {max(1, int(state['min_job_age']))} sec")
        print("ClusterName             = fake")
        print("SLURM_VERSION           = 22.05.8\n\nSlurmctld(primary) at here is UP")
        return 0
    job = state["jobs"].get(words[-1])
    if job is None:
        print("slurm_load_jobs error: Invalid job id specified", file=sys.stderr)
        return 1
    for task, each in job["tasks"].items():
        array = f" ArrayJobId={words[-1]} ArrayTaskId={task}" if task else ""
        print(
            f"JobId={words[-1]}{array} JobName={job['options'].get('job-name', 'x')} UserId=me(0) Priority=1 "
            f"JobState={each['state']} Reason=None Dependency=(null) Requeue=1 ExitCode={each['code']} "
            f"Command={job['command']}"
        )
    return 0


def scancel(words: list[str]) -> int:
    status = 0
    with opened_state(HOME) as state:
        for word in words:
            job_id, _, task = word.partition("_")
            job = state["jobs"].get(job_id)
            tasks = job["tasks"] if job else {}
            if task and tasks.get(task, {}).get("state") == "PENDING":
                del tasks[task]  # as in a real one: no trace is left
                continue
            meant = ([tasks[task]] if task in tasks else []) if task else tasks.values()
            alive = [each for each in meant if each["state"] in ALIVE]
            if not alive:
                print(
                    f"scancel: error: Kill job error on job id {job_id}: Invalid job id specified",
                    file=sys.stderr,
                )
                status = 1
            for each in alive:
                each["cancel"] = True
    return status


def sinfo(words: list[str]) -> int:
    with opened_state(HOME) as state:
        jobs = state["jobs"].values()
    busy = sum(each["state"] == "RUNNING" for job in jobs for each in job["tasks"].values())
    (shape,) = [word.partition("=")[2] for word in words if word.startswith("--format=")]
    for partition, cpus in (("main*", state["slots"]), ("gpu", 64)):
        used = busy if partition == "main*" else 0
        print(shape.replace("%P", partition).replace("%C", f"{used}/{cpus - used}/0/{cpus}"))
    return 0


def sacct(words: list[str]) -> int:
    with opened_state(HOME) as state:
        if not state["accounting"]:
            print("Slurm accounting storage is disabled", file=sys.stderr)
            return 1
        jobs = state["jobs"] | state["accounted"]
    wanted = words[words.index("--jobs") + 1].split(",") if "--jobs" in words else list(jobs)
    for job_id in wanted:
        job = jobs.get(job_id)
        for task, each in (job["tasks"] if job else {}).items():
            shown = f"{job_id}_{task}" if task else job_id
            state_name = "CANCELLED by 1000" if each["state"] == "CANCELLED" else each["state"]
            print(f"{shown}|{state_name}|{each['code']}|{_time(job['submit'])}|sbatch {job['command']}")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "sbatch": sbatch,
    "squeue": squeue,
    "scontrol": scontrol,
    "scancel": scancel,
    "sacct": sacct,
    "sinfo": sinfo,
    "run": run,
}

if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    note("+", name)
    try:
        sys.exit(run(rest) if name == "run" else run_command(HOME, COMMANDS, name, rest))
    finally:
        note("-", name)
