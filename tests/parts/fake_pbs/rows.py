"""Build the jobs that the stand-in's ``qstat`` shows, and its output."""

from __future__ import annotations

import getpass
import json
import re
import time
from collections.abc import Iterator
from typing import Any

SERVER = "pbs1"
ALIVE = {"Q", "H", "R", "E"}
TABLE_HEAD = f"""{SERVER}:
                                                            Req'd  Req'd   Elap
Job ID          Username Queue    Jobname    SessID NDS TSK Memory Time  S Time
--------------- -------- -------- ---------- ------ --- --- ------ ----- - -----"""

Shown = list[tuple[str, dict[str, Any]]]


def walltime_of(options: dict[str, str]) -> float | None:
    for part in options.get("l", "").split(","):
        name, _, value = part.partition("=")
        if name == "walltime":
            seconds = 0
            for each in value.split(":"):
                seconds = seconds * 60 + int(each)
            return seconds
    return None


def rows_of(number: str, state: dict[str, Any], flags: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    job = state["jobs"][number]
    lives = any(each["state"] in ALIVE for each in job["tasks"].values())
    if "x" not in flags and not lives:
        return
    if list(job["tasks"]) == [""]:
        yield f"{number}.{SERVER}", _attributes(job, job["tasks"][""], state)
        return
    whole = _whole(job, lives=lives)
    alone = {"t", "u"} <= flags and not state["shows_arrays"]
    if not alone:
        waiting = [task for task, each in job["tasks"].items() if each["state"] in {"Q", "H"}]
        yield (
            f"{number}[].{SERVER}",
            _attributes(job, whole, state)
            | {
                "array": "True",
                "array_state_count": f"Queued:{len(waiting)} Running:0 Exiting:0 Expired:0 ",
                "array_indices_submitted": job["range"],
                "array_indices_remaining": ",".join(waiting) or "-",
            },
        )
    if "t" not in flags or not state["shows_subjobs"]:
        return
    for task, each in job["tasks"].items():
        yield f"{number}[{task}].{SERVER}", _of_task(number, task, each, job, whole, state, lives=lives)


def _whole(job: Any, *, lives: bool) -> dict[str, Any]:
    """Return the array's own row, whose exit status is not that of any task."""
    tasks = list(job["tasks"].values())
    codes = [each["code"] for each in tasks if each["code"] is not None]
    begun = any("start" in each for each in tasks)
    told: dict[str, Any] = {"code": int(any(codes)) if codes else None, "comment": job.get("comment", "")}
    if lives:
        state = "H" if job.get("holds") else "B" if begun else "Q"
        return told | {"state": state, "substate": {"B": 70, "H": 20}.get(state, 10)}
    substate = 91 if job.get("is_deleted") else 93 if any(codes) else 92
    how = {91: "terminated", 92: "finished", 93: "failed"}[substate]
    comment = f"{told['comment']} and {how}" if told["comment"] else ""
    return told | {"state": "F", "substate": substate, "comment": comment}


def _of_task(
    number: str, task: str, each: dict[str, Any], job: Any, whole: Any, state: dict[str, Any], *, lives: bool
) -> dict[str, Any]:
    """Return a task's row: its own once it has run, otherwise the array's."""
    ended = each["state"] not in ALIVE
    shown = ("X" if lives else "F") if ended else each["state"]
    if shown == "H" and "start" not in each:
        shown = "Q"
    if "start" in each and not each.get("is_lost"):
        own = {"array_id": f"{number}[].{SERVER}", "array_index": int(task)}
        return _attributes(job, each | {"state": shown}, state, has_holds=False) | own
    comment = "Subjob finished" if ended else whole["comment"]
    return _attributes(job, whole | {"state": shown, "comment": comment}, state)


def _attributes(
    job: Any, each: dict[str, Any], state: dict[str, Any], *, has_holds: bool = True
) -> dict[str, Any]:
    options = job["options"]
    told: dict[str, Any] = {"Job_Name": job["name"], "Job_Owner": f"{getpass.getuser()}@login1"}
    if "used" in each:
        told["resources_used"] = {"cpupercent": 0, "walltime": _clock(each["used"])}
    told |= {
        "job_state": state["strange_state"] or each["state"],
        "queue": "workq",
        "server": SERVER,
        **({"Hold_Types": job.get("holds") or "n"} if has_holds else {}),
        "Join_Path": options.get("j", "n"),
        "Output_Path": f"login1:{job['cwd']}/{options.get('o', job['name'])}",
        "Rerunable": "True",
        "Resource_List": {"ncpus": 1, "nodect": 1, "select": "1:ncpus=1"},
        **({"stime": "Sun Nov 22 10:00:00 2026"} if "start" in each else {}),
        "substate": each.get("substate", {"Q": 10, "H": 20}.get(each["state"], 42)),
        "Variable_List": job["variables"],
    }
    attribute, _, value = options.get("W", "").partition("=")
    if attribute == "depend" and each["state"] == "H":
        told |= {"depend": f"{value}@{SERVER}", "substate": 22}
    limit = walltime_of(options)
    if limit is not None:
        told["Resource_List"]["walltime"] = _clock(int(limit))
    if each.get("comment"):
        told["comment"] = each["comment"]
    if "run_count" in each:
        told["run_count"] = each["run_count"]
    if each.get("code") is not None:
        told["Exit_status"] = each["code"]
    return told | {"Submit_arguments": job["arguments"], "project": "_pbs_project_default"}


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def jobs_as_text(shown: Shown, shape: str, state: dict[str, Any], flags: set[str]) -> str:
    """Return the output of ``qstat -f`` for jobs, as text or JSON."""
    if shape != "json":
        return "".join(f"Job Id: {name}\n{_attributes_as_text(each, flags)}\n" for name, each in shown)
    told: dict[str, Any] = {"timestamp": int(time.time()), "pbs_version": "23.06.06", "pbs_server": SERVER}
    if shown:
        told["Jobs"] = {name: _in_json(attributes) for name, attributes in shown}
    text = json.dumps(told, indent=4).replace('": ', '":')
    if state["json"] == "broken":
        text = text.replace('"project":"_', '"project":"un"quoted"_')
    return f"{text}\n"


def _attributes_as_text(attributes: dict[str, Any], flags: set[str]) -> str:
    lines = _lines(attributes)
    return "".join((line.replace("\n", "\\n") if "w" in flags else _folded(line)) + "\n" for line in lines)


def _in_json(attributes: dict[str, Any]) -> dict[str, Any]:
    variables = {key: _parsed(_escaped(text)) for key, text in attributes["Variable_List"].items()}
    return attributes | {"Variable_List": variables}


def _parsed(text: str) -> Any:
    """Turn any value that looks like a number into one."""
    if text in {"true", "false", "null"}:
        return json.loads(text)
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
        return text
    number = float(text)
    return None if number in {float("inf"), -float("inf")} else int(number) if number.is_integer() else number


def _escaped(text: str) -> str:
    return re.sub(r"""(["'\\])""", r"\\\1", text)


def _lines(attributes: dict[str, Any]) -> Iterator[str]:
    for name, value in attributes.items():
        if name == "Variable_List":
            pairs = (_escaped(f"{key}={text}").replace(",", "\\,") for key, text in value.items())
            yield f"    {name} = {','.join(pairs)}"
        elif isinstance(value, dict):
            for inner, each in value.items():
                yield f"    {name}.{inner} = {each}"
        else:
            yield f"    {name} = {value}"


def _folded(line: str) -> str:
    """Break a long line as qstat does: after 78 columns, and before a part that does not fit."""
    parts, out, column = line.split(","), "", 0
    for number, part in enumerate(parts):
        text = part + ("," if number < len(parts) - 1 else "")
        if column and column + len(text) >= 78:
            out, column = f"{out}\n\t", 8
        while len(text) > 78 - column:
            out, text, column = f"{out}{text[: 78 - column]}\n\t", text[78 - column :], 8
        out, column = out + text, column + len(text)
    return out


def table_of(numbers: list[str]) -> str:
    """Return the table that an older ``qstat -u`` prints, whatever its other options."""
    rows = [
        f"{each}.{SERVER}          me       workq    job_shell.    --    1   1    --    --  Q   -- "
        for each in numbers
    ]
    return "\n".join((f"\n{TABLE_HEAD}", *rows, "")) if rows else ""
