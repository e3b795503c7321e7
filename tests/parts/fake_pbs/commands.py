"""Play PBS's commands with one state file, real processes, and faults on demand.

This file runs as a separate program with only the standard library; `tests.parts.fake_pbs.complex` starts it
under the names of PBS's commands. Its output is that of OpenPBS 23.06 (``tests/cases/pbs``), and
``tests/integration/test_pbs_stand_in.py`` compares the two.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from fake_commands import opened_state, run_command  # type: ignore[import-not-found]
from fake_pbs.rows import (  # type: ignore[import-not-found]
    ALIVE,
    SERVER,
    Shown,
    jobs_as_text,
    rows_of,
    table_of,
    walltime_of,
)

HOME = Path(os.environ["PBS_CONF_FILE"]).parent
LOOK_EVERY_S = 0.02


def complain(words: str, status: int) -> int:
    print(words, file=sys.stderr)
    return status


# qsub --------------------------------------------------------------------------------------------

VALUED = "aAcCeJjklmMNopPqrRSuvW"
PLAIN = "fhIVXz"
REFUSED = f"Connection refused\n%s: cannot connect to server {SERVER} (errno=15010)"
QUEUES = {"workq", "rt_HF", "rt_HG", "rt_HC"}
USAGE = "usage: qsub [-a date_time] [-A account_string] [-c interval]\n\t[-C directive_prefix] ..."
QSTAT_USAGE = "usage: \nqstat [-f] [-J] [-p] [-t] [-x] ..."
NAME = re.compile(r"[A-Za-z0-9_.+-]+")
RESOURCES = {"walltime", "cput", "ncpus", "mem", "vmem", "select", "place", "nodes"}
CLOCK = re.compile(r"[0-9]+(:[0-9]+){0,2}")


class Illegal(Exception):
    """A refusal by qsub or by the server, with its exit status."""

    def __init__(self, words: str, status: int = 2) -> None:
        super().__init__(words)
        self.status = status


def qsub(words: list[str]) -> int:
    with opened_state(HOME) as state:
        if state["down"]:
            return complain(REFUSED % "qsub", 162)
    try:
        given, script = _one_script(words)
        body = script.read_text()
        options = _in_script(body) | given
        tasks, limit = _tasks(options.get("J"))
        variables = _variables(options)
        name = _name(options.get("N", script.name))
        _check(options)
    except Illegal as error:
        return complain(str(error), error.status)
    with opened_state(HOME) as state:
        number = str(state["next"])
        state["next"] += 1
        state["jobs"][number] = {
            "options": options,
            "name": name,
            "arguments": " ".join(words),
            "variables": variables,
            "body": body,
            "cwd": str(Path.cwd()),
            "max_running": limit,
            "range": options.get("J", "").partition("%")[0],
            "tasks": {task: {"state": "Q", "code": None} for task in tasks},
        }
    argv = [sys.executable, "-I", "-S", __file__, "run", number]
    devnull = subprocess.DEVNULL
    with (HOME / "runner.log").open("ab") as log:
        subprocess.Popen(argv, stdin=devnull, stdout=devnull, stderr=log, start_new_session=True, cwd="/")
    print(f"{number}[].{SERVER}" if "J" in options else f"{number}.{SERVER}")
    return 0


def _name(name: str) -> str:
    if len(name) > 230:
        raise Illegal("qsub: Job name is too long ")
    if not NAME.fullmatch(name):
        raise Illegal(f"qsub: illegal -N value\n{USAGE}")
    return name


def _check(options: dict[str, str]) -> None:
    """Raise the refusals of qsub, then those of the server."""
    if not options.get("o", "").isascii():
        raise Illegal(f"qsub: illegal -o value\n{USAGE}")
    if "u" in options:
        raise Illegal("qsub: Bad UID for job execution", 175)
    if options.get("q", "workq") not in QUEUES:
        raise Illegal("qsub: Unknown queue", 170)
    for part in filter(None, options.get("l", "").split(",")):
        resource, _, value = part.partition("=")
        if resource not in RESOURCES:
            raise Illegal(f"qsub: Unknown resource Resource_List.{resource}", 187)
        if resource == "walltime" and not CLOCK.fullmatch(value):
            raise Illegal(f"qsub: Illegal attribute or resource value Resource_List.{resource}", 166)
        if resource == "ncpus" and int(value) > 1_000:
            raise Illegal("qsub: Job violates queue and/or server resource limits", 188)


def _one_script(words: list[str]) -> tuple[dict[str, str], Path]:
    given, rest = _options(words)
    if len(rest) != 1:
        raise Illegal(USAGE)
    if not Path(rest[0]).exists():
        raise Illegal("qsub: script file:: No such file or directory", 1)
    return given, Path(rest[0])


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        letters = rest.pop(0)[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in VALUED:
                value = letters or rest.pop(0)
                found[letter] = f"{found['l']},{value}" if letter == "l" and "l" in found else value
                letters = ""
            elif letter in PLAIN:
                found[letter] = ""
            else:
                raise Illegal(f"qsub: invalid option -- '{letter}'\n{USAGE}")
    return found, rest


def _in_script(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    lines = iter(body.split("\n"))
    for line in lines:
        words = line.lstrip()
        if words.startswith("#PBS"):
            while words.rstrip().endswith("\\"):
                words = words.rstrip()[:-1] + next(lines, "")
            options, rest = _options(_words(words[4:]))
            if rest:
                raise Illegal(f"qsub: directive error: {words[4:].strip()} ")
            found |= options
        elif words and not words.startswith("#") and not line.startswith(":"):
            break
    return found


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escapedquotes = True, "", ""
    return list(lexer)


def _tasks(array: str | None) -> tuple[list[str], int]:
    if array is None:
        return [""], 1
    span, _, limit = array.partition("%")
    ends, _, step = span.partition(":")
    first, _, last = ends.partition("-")
    if not (first.isdigit() and last.isdigit() and int(first) < int(last)):
        raise Illegal(f"qsub: illegal -J value\n{USAGE}")
    tasks = [str(task) for task in range(int(first), int(last) + 1, int(step or 1))]
    return tasks, int(limit or 1_000_000)


def _variables(options: dict[str, str]) -> dict[str, str]:
    """Return the environment of a job: some of the submitter's variables, and those of ``-v`` and ``-V``."""
    own = {f"PBS_O_{name}": os.environ[name] for name in ("HOME", "PATH", "SHELL") if name in os.environ}
    own |= {"PBS_O_WORKDIR": str(Path.cwd()), "PBS_O_HOST": "login1", "PBS_O_QUEUE": "workq"}
    if "V" in options:
        own |= dict(os.environ)
    for part in _parts(options.get("v", "")):
        name, found, value = part.partition("=")
        if not found and name not in os.environ:
            raise Illegal("qsub: cannot send environment with the job", 1)
        own[name] = value if found else os.environ[name]
    return own


def _parts(text: str) -> list[str]:
    """Split ``a=1,b='x,y'`` at its commas, with respect for quotes and backslashes."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = ",", True, ""
    return list(lexer)


# Running jobs ------------------------------------------------------------------------------------


def run(words: list[str]) -> int:
    """Play the node: start the tasks that may start and end those that must end, until the job is over."""
    (number,) = words
    running: dict[str, Running] = {}
    while True:
        with opened_state(HOME) as state:
            job = state["jobs"].get(number)
            if job is None:
                return 0
            for task, each in job["tasks"].items():
                if task in running:
                    _look_after(running, task, each, job, number, state)
                elif each["state"] in {"Q", "H"}:
                    _start_or_not(running, task, each, job, number, state)
            if not any(each["state"] in ALIVE for each in job["tasks"].values()):
                if not state["history"]:
                    del state["jobs"][number]
                return 0
        time.sleep(LOOK_EVERY_S)


class Running:
    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self.out, self.err = out, err
        self.begun = time.monotonic()
        self.ending: tuple[str, float] | None = None


def _start_or_not(
    running: dict[str, Running], task: str, each: dict[str, Any], job: Any, number: str, state: dict[str, Any]
) -> None:
    waits = _waits_for_others(job, state)
    job["holds"] = "u" if "h" in job["options"] else "s" if waits or job.get("failed_start") else ""
    each["state"] = "H" if job["holds"] else "Q"
    if each.get("cancel"):
        told = {"comment": f"{each['comment']} and terminated"} if each.get("comment") else {}
        each.update(state="F", substate=91, **told)
    elif waits == "never":
        each.update(state="F", code=None, substate=92)
    elif not job["holds"] and _has_turn(number, state) and not state["holds"]:
        if state["cannot_start"]:
            job["failed_start"] = True
            failed = "too many failed attempts to run"
            job["comment"] = f"Job Array Held, {failed} subjob {number}[{task}].{SERVER}"
            each.update(start=time.time(), run_count=21, code=-3, comment=f"job held, {failed}")
            return
        comment = "Job run at Sun Nov 22 at 10:00 on (n1:ncpus=1)"
        each.update(state="R", start=time.time(), code=None, comment=comment)
        each["run_count"] = each.get("run_count", 0) + 1
        job["comment"] = "Job Array Began at Sun Nov 22 at 10:00"
        running[task] = _start(number, task, job, state)


def _waits_for_others(job: Any, state: dict[str, Any]) -> str:
    """Return ``wait``, ``never`` or an empty text, by ``-W depend=afterok:12.pbs1``."""
    attribute, _, value = job["options"].get("W", "").partition("=")
    if attribute != "depend":
        return ""
    other = state["jobs"].get(value.partition(":")[2].partition(".")[0].partition("[")[0])
    tasks = list(other["tasks"].values()) if other else []
    if not other or any(each["state"] not in ALIVE and each["code"] for each in tasks):
        return "never"
    return "" if all(each["code"] == 0 for each in tasks) else "wait"


def _has_turn(number: str, state: dict[str, Any]) -> bool:
    busy = sum(each["state"] == "R" for job in state["jobs"].values() for each in job["tasks"].values())
    if busy >= state["slots"]:
        return False
    for other in sorted(state["jobs"], key=int):
        job = state["jobs"][other]
        states = [each["state"] for each in job["tasks"].values()]
        may_start = states.count("R") < job["max_running"] and "Q" in states
        if other == number or (may_start and int(other) < int(number)):
            return other == number and may_start
    return False


def _start(number: str, task: str, job: Any, state: dict[str, Any]) -> Running:
    options = job["options"]
    script = HOME / f"{number}[{task}].SC"
    script.write_text(job["body"])
    script.chmod(0o700)
    user = HOME / "user"
    env = {
        "HOME": str(user), "LOGNAME": getpass.getuser(), "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SHELL": "/bin/bash", "PBS_ENVIRONMENT": "PBS_BATCH", "PBS_JOBNAME": job["name"],
        "PBS_JOBDIR": str(user), "PBS_QUEUE": "workq", "PBS_CONF_FILE": os.environ["PBS_CONF_FILE"],
        **job["variables"], "PBS_JOBID": f"{number}.{SERVER}",
    }  # fmt: skip
    if task:
        env |= {
            "PBS_JOBID": f"{number}[{task}].{SERVER}",
            "PBS_ARRAY_ID": f"{number}[].{SERVER}",
            "PBS_ARRAY_INDEX": task,
        }
    shell = options.get("S", "/bin/sh")
    out, err = HOME / f"{number}[{task}].OU", HOME / f"{number}[{task}].ER"
    if options.get("j") == "oe":
        err = out
    elif options.get("j") == "eo":
        out = err
    argv = [shell, "-c", '"$0"; exit $?', str(script)] if state["top_shell"] else [shell, str(script)]
    with out.open("ab") as stdout, err.open("ab") as stderr:
        process = subprocess.Popen(
            argv, cwd=user, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            start_new_session=True,
        )  # fmt: skip
    return Running(process, out, err)


def _look_after(
    running: dict[str, Running], task: str, each: dict[str, Any], job: Any, number: str, state: dict[str, Any]
) -> None:
    it = running[task]
    now = time.monotonic()
    each["used"] = int(now - it.begun)
    code = it.process.poll()
    if code is not None:
        _kill(it.process.pid, signal.SIGKILL)
        del running[task]
        _ended(it, code, task, each, job, number, state)
        return
    limit = walltime_of(job["options"])
    late = limit is not None and now - it.begun > limit
    again = next((why for why in ("rerun", "node") if each.pop(why, False)), "")
    if it.ending is None and again:
        it.ending = (again, now)
        _kill(it.process.pid, signal.SIGKILL)
    elif it.ending is None and (each.get("cancel") or late):
        it.ending = ("deleted" if each.get("cancel") else "walltime", now)
        if late:
            with it.err.open("a") as spool:
                spool.write(f"=>> PBS: job killed: walltime {each['used']} exceeded limit {limit}\n")
        _kill(it.process.pid, signal.SIGTERM)
    elif it.ending is not None and now - it.ending[1] > state["kill_wait"]:
        _kill(it.process.pid, signal.SIGKILL)


def _kill(pid: int, number: int) -> None:
    """Send the signal to all processes of the job, as PBS does."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def _ended(
    it: Running, code: int, task: str, each: dict[str, Any], job: Any, number: str, state: dict[str, Any]
) -> None:
    why = it.ending[0] if it.ending else ""
    if why in {"rerun", "node"} and job["options"].get("r") != "n":
        each.update(state="Q", code=-20 if why == "node" else None)
        return
    status = code if code >= 0 else 256 - code
    if why in {"deleted", "node"}:
        status = 256 + 15 if why == "deleted" else -20
    if why == "walltime" and state["tells_walltime"]:
        status = -29
    substate = 91 if why == "deleted" else 92 if status == 0 else 93
    how = {91: "terminated", 92: "finished", 93: "failed"}[substate]
    _deliver(it, task, job, number)
    if substate == 91:
        how = f"terminated by {getpass.getuser()}@{SERVER}"
    elif status == -29:
        how = "exceeded resource walltime"
    each.update(state="F", code=status, substate=substate, comment=f"{each['comment']} and {how}")


def _deliver(it: Running, task: str, job: Any, number: str) -> None:
    """Move PBS's output files to their place, which happens only once the job has ended."""
    options = job["options"]
    suffix = f".{task}" if task else ""
    kept = options.get("k", "")
    for letter, spool in (("o", it.out), ("e", it.err)):
        if not spool.exists():
            continue
        name = f"{job['name']}.{letter}{number}{suffix}"
        target = Path(job["cwd"]) / options.get(letter, name).replace("^array_index^", task)
        if letter in kept and "d" not in kept:
            target = HOME / "user" / name
        shutil.copyfile(spool, target / name if target.is_dir() else target)
        spool.unlink()


# qstat -------------------------------------------------------------------------------------------


def _asked(words: list[str]) -> tuple[str, str, list[str], set[str]]:
    """Return the form, the user, the ids and the other options of a query."""
    shape, user, ids, flags = "", "", [], set()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "-F":
            shape = rest.pop(0)
        elif word == "-u":
            user = rest.pop(0)
        elif word.startswith("-"):
            flags.add(word[1:])
        else:
            ids.append(word)
    return shape, user, ids, flags


def qstat(words: list[str]) -> int:
    shape, user, ids, flags = _asked(words)
    with opened_state(HOME) as state:
        pass
    if shape and state["json"] == "none":
        return complain(f"qstat: invalid option -- 'F'\n{QSTAT_USAGE}", 2)
    if shape and user:
        return complain(f"qstat: conflicting options.\n{QSTAT_USAGE}", 2)
    if state["down"]:
        print(jobs_as_text([], shape, state, flags), end="")
        return complain(REFUSED % "qstat", 255)
    if "x" in flags and not state["history"]:
        print(jobs_as_text([], shape, state, flags), end="")
        return complain("qstat: PBS is not configured to maintain job history", 0)
    if user and not (state["lists_own"] and "w" in flags):
        print(table_of(list(state["jobs"])), end="")
        return 0
    shown, status = _selected(ids, state, flags | ({"u"} if user else set()))
    if shape and state["json"] == "first" and len(ids) > 1:
        shown = shown[:1]
    print(jobs_as_text(shown, shape, state, flags), end="")
    return status


def _selected(ids: list[str], state: dict[str, Any], flags: set[str]) -> tuple[Shown, int]:
    if not ids:
        return [row for number in state["jobs"] for row in rows_of(number, state, flags)], 0
    shown: Shown = []
    status = 0
    for each in ids:
        number = each.partition(".")[0].partition("[")[0]
        if each.partition(".")[2] not in {"", SERVER}:
            status = complain(f"qstat: illegally formed job identifier: {each}", 1)
            continue
        rows = list(rows_of(number, state, flags)) if number in state["jobs"] else []
        if re.search(r"\[[0-9]+\]", each):  # one task
            rows = [row for row in rows_of(number, state, flags | {"t"}) if row[0].split(".")[0] in each]
        if not rows and number in state["jobs"]:
            status = complain(
                f"qstat: {each} Job has finished, use -x or -H to obtain historical job information", 35
            )
        elif not rows:
            status = complain(f"qstat: Unknown Job Id {each}", 153)
        shown += rows
    return shown, status


# qdel --------------------------------------------------------------------------------------------


def qdel(words: list[str]) -> int:
    status = 0
    with opened_state(HOME) as state:
        if state["down"]:
            return complain(f"Connection refused\nCouldn't connect to cluster: {SERVER}", 162)
        for each in words:
            number, _, task = each.partition(".")[0].partition("[")
            job, chosen = state["jobs"].get(number), task.rstrip("]")
            if each.partition(".")[2] not in {"", SERVER}:
                status = complain(f"qdel: illegally formed job identifier: {each}", 1)
            elif job is None:
                status = complain(f"qdel: Unknown Job Id {each}", 153)
            elif chosen and chosen not in job["tasks"]:
                status = complain(f"qdel: Invalid request {each}", 156)
            else:
                status = _delete(each, job, chosen) or status
    return status


def _delete(named: str, job: Any, chosen: str) -> int:
    tasks = [job["tasks"][chosen]] if chosen else list(job["tasks"].values())
    if not any(each["state"] in ALIVE for each in job["tasks"].values()):
        return complain(f"qdel: Job has finished {named}", 35)
    if not any(each["state"] in ALIVE for each in tasks):
        return complain(f"qdel: Request invalid for finished array subjob {named}", 55)
    for each in tasks:
        each.update({"cancel": True} if each["state"] in ALIVE else {})
        if not chosen and each["state"] not in ALIVE:
            each["is_lost"] = True  # from now on, the array's own row is shown for it
    if not chosen:
        job["is_deleted"] = True
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {"qsub": qsub, "qstat": qstat, "qdel": qdel, "run": run}

if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    sys.exit(run(rest) if name == "run" else run_command(HOME, COMMANDS, name, rest))
