"""PBS's stand-in prints what a real one printed; so must the real one that REAL_PBS names."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from tests.parts.fake_pbs.complex import FakePbs
from tests.parts.pbs_transcripts import Transcript, all_of, transcript
from tests.parts.real_pbs import RealPbs
from tests.parts.site import wait_until

KEPT = ("job_state", "Hold_Types", "Exit_status", "comment", "array_id", "array_index")
SCRIPTS = {
    "ok.sh": "echo out", "three.sh": "exit 3", "long.sh": "echo begun; sleep 300", "arr.sh": "sleep 1",
    "arr300.sh": "sleep 300",
    "arr12.sh": "[ $PBS_ARRAY_INDEX = 1 ] && exit 0\n[ $PBS_ARRAY_INDEX = 2 ] && exit 3\nsleep 300",
}  # fmt: skip

Rows = dict[str, dict[str, str]]


@define
class Complex:
    """A PBS whose commands run in a directory with some scripts."""

    pbs: FakePbs | RealPbs
    folder: Path

    def type(self, command: str) -> Transcript:
        """Run one line of shell and return its transcript."""
        done = subprocess.run(
            ["/bin/bash", "-c", command], cwd=self.folder, env=os.environ | self.pbs.environment(),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return Transcript(command, done.stdout, done.stderr, done.returncode)

    def submit(self, words: str) -> str:
        done = self.type(f"qsub -f {words}")
        assert done.status == 0, done.stderr
        return done.stdout.strip()

    def rows(self, command: str) -> Rows:
        return rows_of(self.type(command))

    def until(self, scheduler_job_id: str, states: str, options: str = "") -> Rows:
        """Wait until all rows of the job are in one of *states*, and return them by id."""
        command = f"qstat -x -f -w {options} '{scheduler_job_id}'"
        wait_until(lambda: {row["job_state"] for row in self.rows(command).values()} <= set(states))
        return self.rows(command)


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.xdist_group("pbs"))])
def pbs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Complex]:
    pbs: FakePbs | RealPbs = RealPbs() if request.param == "real" else FakePbs(tmp_path, slots=20)
    for name, body in SCRIPTS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
    yield Complex(pbs, tmp_path)
    pbs.end_everything()


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[FakePbs]:
    pbs = FakePbs(tmp_path, slots=20)
    yield pbs
    pbs.end_everything()


def rows_of(answer: Transcript) -> Rows:
    """Return what cloudq reads, by task index or, for other rows, ``""``; names and times are left out."""
    rows: Rows = {}
    row: dict[str, str] = {}
    for line in answer.stdout.split("\n"):
        if line.startswith("Job Id: "):
            row = rows.setdefault(re.sub(r".*?(\[[0-9]*\])?\..*", r"\1", line), {})
        name, _, value = line.strip().partition(" = ")
        if name in KEPT:
            row[name] = _plain(value)
    return rows


def _plain(value: str) -> str:
    for pattern, instead in (
        (r"\w{3} \w{3} [0-9 ]?[0-9] at [0-9:]+", "TIME"), (r"\([^()]*ncpus=1\)", "(NODE)"),
        (r"\S+@\S+", "USER@HOST"), (r"[0-9]+(\[[0-9]*\])\.\S+", r"N\1.SERVER"),
    ):  # fmt: skip
        value = re.sub(pattern, instead, value)
    return value


def said(answer: Transcript) -> str:
    """Return the first line of a command's stderr, with the ids replaced."""
    return re.sub(r"[0-9]+(\[[0-9]*\])?\.\w+", "ID", answer.stderr.split("\n")[0])


# Refusals ----------------------------------------------------------------------------------------

SETTING = re.compile(r"rt_H|-j |-k |-S |-a |-p |-W |select|mem=|@|A=|for |long\.sh|20000|: +|^qsub -f ok.sh$")
"""Refused commands that depend on a setting of the server, or that the stand-in does not check."""
REFUSED = [each for each in all_of("qsub") if each.status and not SETTING.search(each.command)]


@pytest.mark.parametrize("real", REFUSED, ids=lambda each: each.command[8:40])
def test_refusals_are_those_of_the_real_one(pbs: Complex, real: Transcript) -> None:
    mine = pbs.type(real.command)

    assert (mine.status, said(mine)) == (real.status, said(real))
    assert ("usage:" in mine.stderr) == ("usage:" in real.stderr)


def test_enough_refusals_are_compared() -> None:
    assert len(REFUSED) >= 15
    assert {2, 1, 166, 170, 175, 187} <= {each.status for each in REFUSED}


def test_more_than_a_job_may_have_is_refused_as_by_the_real_one(stand_in: FakePbs, tmp_path: Path) -> None:
    (tmp_path / "ok.sh").write_text("#!/bin/bash\n")
    real = transcript(7, "qsub -f -q rt_HG -l walltime=02:00:00")
    mine = Complex(stand_in, tmp_path).type("qsub -f -l ncpus=1001 ok.sh")

    assert (mine.status, mine.stderr) == (real.status, real.stderr)


@pytest.mark.parametrize("name", ["1abc", "_x", "a+b", ".x", "-x", "abcdefghijklmnopqrstuvwxyz"])
def test_names_that_the_real_one_takes_are_taken(pbs: Complex, name: str) -> None:
    assert pbs.submit(f"-h -N {name} ok.sh")


@pytest.mark.parametrize(
    ("number", "command"),
    [
        (1, "qstat -t -f -F json -u"), (1, "qstat -f 999999.pbs1"), (1, "qstat -f 1.otherserver"),
        (1, "qstat -x -t -f 999999.pbs1"), (1, "qdel 999999.pbs1"), (1, "qdel 999999[].pbs1"),
        (10, "qdel 12.pbs2"),
    ],
)  # fmt: skip
def test_questions_that_fail_fail_as_those_of_the_real_one(pbs: Complex, number: int, command: str) -> None:
    real = transcript(number, command)
    mine = pbs.type(real.command.replace(".pbs1", f".{_server_of(pbs)}"))

    assert (mine.status, said(mine)) == (real.status, said(real))


@pytest.mark.parametrize(
    "command",
    ["qstat -t -f -w -u", "qstat -x -f -t -F json", "qstat -x -f -t 1", "qsub -f ok.sh", "qdel 1.pbs1 2"],
)
def test_a_server_that_is_away_answers_as_the_real_one(
    stand_in: FakePbs, tmp_path: Path, command: str
) -> None:
    (tmp_path / "ok.sh").write_text("#!/bin/bash\n")
    stand_in.set(down=True)
    real = transcript(10, command)
    mine = Complex(stand_in, tmp_path).type(real.command)

    assert (mine.status, mine.stderr) == (real.status, real.stderr)
    assert mine.stdout.startswith("{") == real.stdout.startswith("{")


def test_an_id_that_cannot_be_looked_up_hides_no_other(pbs: Complex) -> None:
    real = transcript(11, "qstat -x -f -t 12.pbs2")
    scheduler_job_id = pbs.submit("-h ok.sh")

    for ids in (f"12.elsewhere {scheduler_job_id}", f"{scheduler_job_id} 12.elsewhere"):
        mine = pbs.type(f"qstat -x -f -t {ids}")
        assert (mine.status, said(mine)) == (1, said(real))  # the status in the transcript is that of a pipe
        assert set(rows_of(mine)) == {""}


def _server_of(pbs: Complex) -> str:
    return pbs.submit("-h ok.sh").partition(".")[2]


# Rows of jobs ------------------------------------------------------------------------------------


def test_ends_of_plain_jobs_are_shown_as_by_the_real_one(pbs: Complex) -> None:
    good, bad, runs, held = (pbs.submit(words) for words in ("ok.sh", "three.sh", "long.sh", "-h long.sh"))
    pbs.until(runs, "R")
    pbs.type(f"qdel {runs} {held}")
    real = transcript(4, "for n in x255").stdout
    of_real = {name: rows_of(_block(real, name))[""] for name in ("del", "delheld")}

    assert pbs.until(good, "F")[""] == rows_of(transcript(2, "qstat -x -f -w"))[""]
    failed = pbs.until(bad, "F")[""]
    assert (failed["Exit_status"], failed["comment"]) == ("3", "Job run at TIME on (NODE) and failed")
    assert pbs.until(runs, "F")[""] == of_real["del"]
    assert pbs.until(held, "F")[""] == of_real["delheld"]


def test_an_exceeded_limit_is_shown_as_by_the_real_one(pbs: Complex) -> None:
    real = rows_of(_block(transcript(4, "for n in x255").stdout, "limit"))[""]

    assert pbs.until(pbs.submit("-l walltime=1 long.sh"), "F")[""] == real


def _block(listing: str, name: str) -> Transcript:
    """Return the part of a listing that belongs to one job."""
    blocks = re.split(r"(?m)^(?=Job Id: )", listing)
    return Transcript("", next(each for each in blocks if f"Job_Name = {name}\n" in each), "", 0)


def test_dependencies_are_shown_as_by_the_real_one(pbs: Complex) -> None:
    bad = pbs.submit("-h three.sh")
    waits = pbs.submit(f"-W depend=afterok:{bad} ok.sh")
    row = pbs.until(waits, "H")[""]
    server = bad.partition(".")[2]
    unknown = pbs.submit(f"-W depend=afterok:99999.{server} ok.sh")

    assert (row["job_state"], row["Hold_Types"]) == ("H", "s")
    assert pbs.until(unknown, "F") == rows_of(transcript(7, "qstat -x -t -f -w $(qselect -x -N dep0)"))
    array = pbs.submit(f"-J 1-3 -W depend=afterok:99999.{server} ok.sh")
    real = rows_of(transcript(15, "qstat -x -t -f -w $(qselect -x -N depa)"))
    mine = pbs.until(array, "F", "-t")
    mine["[]"].pop("comment", None)  # a real one keeps a task's there after a query for the tasks
    assert mine == real


def test_a_held_array_is_shown_as_by_the_real_one(pbs: Complex) -> None:
    scheduler_job_id = pbs.submit("-h -J 1-3 arr300.sh")
    pbs.until(scheduler_job_id, "H")
    listing = transcript(5, "for n in subdel arrheld rerun").stdout

    mine = pbs.rows(f"qstat -t -f -w '{scheduler_job_id}'")
    mine[""] = mine.pop("[]")
    blocks = re.split(r"(?m)^(?=Job Id: )", listing)
    real = rows_of(Transcript("", "".join(each for each in blocks if "Job Id: 103[" in each), "", 0))
    real[""] = real.pop("[]")

    assert mine == real
    assert set(pbs.rows("qstat -t -f -w -u $(id -un)")) == {"[1]", "[2]", "[3]"}
    assert set(pbs.rows("qstat -f -w -u $(id -un)")) == {"[]"}


def test_tasks_of_a_deleted_array_are_shown_as_by_the_real_one(pbs: Complex) -> None:
    scheduler_job_id = pbs.submit("-J 1-6%3 arr12.sh")
    listed = "qstat -t -f -w -u $(id -un)"

    def is_so() -> bool:
        rows = pbs.rows(listed)
        states = [rows[task]["job_state"] for task in sorted(rows)]
        return states == ["X", "X", "R", "R", "R", "Q"]

    wait_until(is_so)
    rows = pbs.rows(listed)
    waiting = f"'{scheduler_job_id.replace('[]', '[6]')}'"
    assert ["array_index" in rows[task] for task in sorted(rows)] == [True] * 5 + [False]
    assert [rows[task].get("Exit_status") for task in ("[1]", "[2]", "[3]")] == ["0", "3", None]

    assert pbs.type(f"qdel {waiting}").status == 0
    wait_until(lambda: pbs.rows(listed)["[6]"]["job_state"] == "X")
    deleted = pbs.rows(f"qstat -x -f -w {waiting}")["[6]"]
    again = pbs.type(f"qdel {waiting}")
    none = pbs.type(f"qdel '{scheduler_job_id.replace('[]', '[9]')}'")
    real = rows_of(transcript(12, "n=$(qselect -N lists); qstat -x -f ${n%%[*}[6]", -1))["[6]"]
    assert deleted | {"Exit_status": ""} == real | {"Exit_status": ""}  # PBS sets the array's only sometimes
    for mine, theirs in ((again, transcript(5, "n=$(qselect -N subdel); qdel", -1)),
                         (none, transcript(5, "n=$(qselect -N subdel); qdel", 2))):  # fmt: skip
        assert (mine.status, said(mine)) == (theirs.status, said(theirs))

    assert pbs.type(f"qdel '{scheduler_job_id}'").status == 0
    after = pbs.until(scheduler_job_id, "F", "-t")
    whole = rows_of(transcript(12, "qstat -x -t -f $(qselect -x -N lists)"))
    assert {task: row["comment"][-15:] for task, row in after.items() if "array_index" not in row} == {
        task: row["comment"][-15:] for task, row in whole.items() if "array_index" not in row
    }
    finished = pbs.type(f"qdel '{scheduler_job_id}'")
    assert (finished.status, said(finished)) == (35, "qdel: Job has finished ID")


# Values ------------------------------------------------------------------------------------------


def test_values_are_damaged_as_by_the_real_one(pbs: Complex) -> None:
    given = {"NUM": "005", "FLT": "1.20", "BS": "C:\\dir", "TRUE": "true", "NULL": "null", "DOT": ".5",
             "HEX": "0x1f", "EXP": "1e5", "SQ": "it's", "EQ": "a=b", "NL": "two\nlines"}  # fmt: skip
    real = _variables(transcript(6, "qstat -f -F json $(qselect -N nasty)").stdout)
    exports = " ".join(f"{name}=$'{value}'" for name, value in given.items() if name not in {"BS", "SQ"})
    typed = pbs.type(f"export {exports} BS='C:\\dir' SQ=\"it's\"; qsub -f -V -h ok.sh")
    scheduler_job_id = typed.stdout.strip()
    mine = _variables(pbs.type(f"qstat -f -F json {scheduler_job_id}").stdout)

    assert {name: mine[name] for name in given} == {name: real[name] for name in given}
    wide = pbs.type(f"qstat -f -w {scheduler_job_id}").stdout
    assert "NL=two\\nlines" in wide
    assert "NL=two\nlines" in pbs.type(f"qstat -f {scheduler_job_id}").stdout.replace("\n\t", "")


def _variables(text: str) -> dict[str, Any]:
    lines = re.findall(r'^\s*"(\w+)":\s*(.*?),?$', text, re.MULTILINE)
    return {name: json.loads(value) for name, value in lines if not value.startswith("{")}


def test_json_shows_the_first_of_several_ids_alone(pbs: Complex) -> None:
    if isinstance(pbs.pbs, FakePbs):
        pbs.pbs.set(json="first")
    first, second = pbs.submit("-h ok.sh"), pbs.submit("-h ok.sh")

    assert list(json.loads(pbs.type(f"qstat -f -F json {first} {second}").stdout)["Jobs"]) == [first]


# Cases that need a manager or a broken node ------------------------------------------------------


def test_a_failed_node_is_shown_as_by_the_real_one(stand_in: FakePbs, tmp_path: Path) -> None:
    for name, body in SCRIPTS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
    mine = Complex(stand_in, tmp_path)
    again, once = mine.submit("long.sh"), mine.submit("-r n long.sh")
    array = mine.submit("-J 1-2 long.sh")
    for scheduler_job_id in (again, once, array):
        mine.until(scheduler_job_id, "RB")
        stand_in.set(holds=True)
        stand_in.change(scheduler_job_id, node=True)
    rows = mine.until(again, "Q")[""], mine.until(once, "F")[""]
    wait_until(lambda: mine.rows("qstat -t -f -w -u x")["[1]"]["job_state"] == "Q")

    real = [
        rows_of(transcript(14, f"qstat -x -t -f -w $(qselect -x -N {name})"))[""]
        for name in ("again", "once")
    ]
    for row, theirs in zip(rows, real, strict=True):
        assert (row["job_state"], row["Exit_status"]) == (theirs["job_state"], theirs["Exit_status"])
    listed = rows_of(transcript(14, "qstat -t -f -w -u"))["[1]"]
    assert mine.rows("qstat -t -f -w -u x")["[1]"] == listed


def test_a_job_that_cannot_start_is_shown_as_by_the_real_one(stand_in: FakePbs, tmp_path: Path) -> None:
    (tmp_path / "ok.sh").write_text("#!/bin/bash\n")
    stand_in.set(cannot_start=True)
    mine = Complex(stand_in, tmp_path)
    scheduler_job_id = mine.submit("ok.sh")

    assert mine.until(scheduler_job_id, "H") == rows_of(
        transcript(14, "qstat -x -t -f -w $(qselect -x -N nostart)")
    )
    assert mine.type(f"qdel {scheduler_job_id}").status == 0
    ended = mine.until(scheduler_job_id, "F")[""]
    real = rows_of(transcript(14, "qstat -x -t -f -w $(qselect -x -N nostarts)", -1))["[1]"]
    assert (ended["comment"], ended["Exit_status"]) == (real["comment"], real["Exit_status"])
