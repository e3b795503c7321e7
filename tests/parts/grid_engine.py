"""Run a real Grid Engine on loopback: one qmaster and one execution host in a separate cell.

It needs root, but no systemd, no entry in /etc/hosts and no file outside its one new directory. Nothing
outlives it, not even when the test run is killed (`warden.Warden`).
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import frozen

from tests.parts.slurm import SBIN, free_ports
from tests.parts.warden import Warden

COMMANDS = ("sge_qmaster", "sge_execd", "qsub", "qstat", "qacct", "qdel", "qconf")
PROGRAMS = Path("/usr/lib/gridengine")
"""The directory in which Debian has the daemons and the tools that create a cell."""
SHARED = Path("/usr/share/gridengine")

START_TIMEOUT_S = 60.0
QUEUE = "main.q"
GIDS = 20
"""The number of group ids for the jobs of one cell: more than there are slots."""

BOOTSTRAP = """\
admin_user              none
default_domain          none
ignore_fqdn             true
spooling_method         berkeleydb
spooling_lib            libspoolb
spooling_params         {home}/spool/db
binary_path             {programs}
qmaster_spool_dir       {home}/spool/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
"""
CONFIGURATION = {
    "execd_spool_dir": "{home}/spool/execd",
    "mailer": "/bin/true",
    "gid_range": "{first_gid}-{last_gid}",
    # A login shell would read the developer's files, and a killed job may leave one of their locks behind.
    "login_shells": "ksh",
    "min_uid": "0",
    "min_gid": "0",
    "execd_params": "NONE",
    "finished_jobs": "0",
    "reporting_params": (
        "accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:00 "
        "joblog=false sharelog=00:00:00"
    ),
}
SCHEDULE = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}
PARALLEL_ENVIRONMENT = """\
pe_name            smp
slots              999
user_lists         NONE
xuser_lists        NONE
start_proc_args    NONE
stop_proc_args     NONE
allocation_rule    $pe_slots
control_slaves     FALSE
job_is_first_task  TRUE
urgency_slots      min
accounting_summary FALSE
qsort_args         NONE
"""
LIMITS = ("rt", "cpu", "fsize", "data", "stack", "core", "rss", "vmem")
QUEUE_CONFIGURATION = {
    "qname": QUEUE, "hostlist": "{host}", "seq_no": "0", "load_thresholds": "NONE",
    "suspend_thresholds": "NONE", "nsuspend": "1", "suspend_interval": "00:05:00", "priority": "0",
    "min_cpu_interval": "00:05:00", "processors": "UNDEFINED", "qtype": "BATCH", "ckpt_list": "NONE",
    "pe_list": "smp", "rerun": "FALSE", "slots": "{slots}", "tmpdir": "/tmp", "shell": "/bin/sh",
    "prolog": "NONE", "epilog": "NONE", "shell_start_mode": "posix_compliant", "starter_method": "NONE",
    "suspend_method": "NONE", "resume_method": "NONE", "terminate_method": "NONE", "notify": "00:00:05",
    "owner_list": "NONE", "user_lists": "NONE", "xuser_lists": "NONE", "subordinate_list": "NONE",
    "complex_values": "NONE", "projects": "NONE", "xprojects": "NONE", "calendar": "NONE",
    "initial_state": "default",
    **{f"{kind}_{limit}": "INFINITY" for limit in LIMITS for kind in "sh"},
}  # fmt: skip


class GridEngineDidNotStart(Exception):
    """A part of Grid Engine did not start; the message contains its last output."""


def why_not_here() -> str:
    """Return the reason why Grid Engine cannot be started here; empty if it can."""
    missing = [command for command in COMMANDS if shutil.which(command, path=SBIN) is None]
    if missing:
        return f"Grid Engine is not installed here: {', '.join(missing)}"
    # Its daemons trust no other user.
    return "Grid Engine is started by root only" if os.geteuid() else ""


@frozen(kw_only=True)
class GridEngineSettings:
    """The settings of a cell."""

    slots: int = 8
    """The number of jobs that run at once, independent of this machine."""
    resources: tuple[tuple[str, int], ...] = (("rt_F", 4), ("rt_G.small", 8), ("rt_C.small", 16))
    """The consumables, with ABCI's names, and their number on the host."""


class GridEngine:
    """The cell, once started."""

    def __init__(self, settings: GridEngineSettings | None = None) -> None:
        self.settings = settings or GridEngineSettings()
        self.host = socket.gethostname().partition(".")[0]
        self._warden = Warden("gridengine")
        self.home = self._warden.home
        ports = free_ports(2)
        self._variables = {
            "SGE_ROOT": str(self.home),
            "SGE_CELL": "cell",
            "SGE_QMASTER_PORT": str(ports[0]),
            "SGE_EXECD_PORT": str(ports[1]),
        }
        # Jobs get the environment of the execution daemon: nothing of the tests' own.
        self._environ = {
            "PATH": SBIN, "HOME": str(Path.home()), "LANG": "C.UTF-8", "SGE_ND": "1",
            "LD_LIBRARY_PATH": str(PROGRAMS), **self._variables,
        }  # fmt: skip

    def start(self) -> None:
        """Start everything and wait until jobs can run; raises `GridEngineDidNotStart`."""
        try:
            self._make_cell()
            self.start_qmaster()
            self._qconf("-as", self.host)
            self._configure("-Msconf", "schedule", self._changed(self._shown("-ssconf"), SCHEDULE))
            self._start("execd", "sge_execd")
            self.wait_until("there is a host", lambda: self.host in self.run("qconf", "-sel").stdout)
            self._make_queue()
            self.wait_until("the queue is up", self._queue_is_up)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all daemons and all jobs with their child processes, and remove the directory."""
        self._warden.close()

    def environment(self) -> dict[str, str]:
        """Return the variables that a process needs to use this cell."""
        return dict(self._variables)

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of Grid Engine's commands until it ends, with any exit status."""
        return subprocess.run(
            command, env=self._environ, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    def wait_until(self, what: str, holds: Callable[[], bool], longest_s: float = START_TIMEOUT_S) -> None:
        """Wait until *holds* is true; raises `GridEngineDidNotStart` if it never is."""
        ends = time.monotonic() + longest_s
        while not holds():
            if time.monotonic() > ends:
                raise GridEngineDidNotStart(f"waited in vain until {what}; {self._last_words()}")
            time.sleep(0.1)

    def states(self) -> dict[str, str]:
        """Return the state letters of every listed job; for an array, those of its last line."""
        rows = [line.split() for line in self.run("qstat", "-u", "*").stdout.splitlines()[2:]]
        return {row[0]: row[4] for row in rows}

    def clear(self) -> None:
        """Delete all jobs that a test left behind."""
        self.start_qmaster()
        self.run("qdel", "-u", "*")
        self.wait_until("no job is left", lambda: not self.run("qstat", "-u", "*").stdout)

    def stop_qmaster(self, *, crash: bool = False) -> None:
        """Shut the qmaster down, or kill it; jobs continue to run."""
        self._warden.stop("qmaster", signal.SIGKILL if crash else signal.SIGTERM)

    def start_qmaster(self) -> None:
        """Start the qmaster with its earlier state, and wait until it answers."""
        if "qmaster" not in self._warden.running():
            self._start("qmaster", "sge_qmaster")
        self.wait_until("the qmaster answers", lambda: not self.run("qconf", "-sh").returncode)

    def _make_cell(self) -> None:
        self.home.chmod(0o755)  # readable for everyone: other processes start the jobs
        for name in ("cell/common", "bin", "spool/db", "spool/qmaster/job_scripts", "spool/execd", "log"):
            (self.home / name).mkdir(parents=True)
        (self.home / "util").symlink_to(SHARED / "util")
        self._write("cell/common/bootstrap", BOOTSTRAP.format(home=self.home, programs=PROGRAMS))
        self._write("cell/common/act_qmaster", f"{self.host}\n")
        self._write("cell/common/host_aliases", f"{self.host} {' '.join(self._other_names())}\n")
        self._make(PROGRAMS / "spoolinit", "berkeleydb", "libspoolb", str(self.home / "spool/db"), "init")
        # Each job is identified, and killed, by its own group id. So a cell of another test run on this
        # machine must use other ids; its ports are different, and the ids are derived from them.
        first_gid = 20_000 + int(self._variables["SGE_EXECD_PORT"]) % 2_000 * GIDS
        gids = {"first_gid": first_gid, "last_gid": first_gid + GIDS - 1}
        told = {name: value.format(home=self.home, **gids) for name, value in CONFIGURATION.items()}
        text = self._changed((SHARED / "default-configuration").read_text(encoding="utf-8"), told)
        make = PROGRAMS / "spooldefaults"
        self._make(make, "configuration", str(self._write("configuration", text)))
        for kind, folder in (("complexes", "centry"), ("usersets", "usersets")):
            self._make(make, kind, str(SHARED / "util/resources" / folder))
        self._make(make, "managers", getpass.getuser())

    def _other_names(self) -> list[str]:
        """Return the names of this host's addresses: Grid Engine takes the first name for the host's own."""
        names = {"localhost", socket.gethostname(), socket.getfqdn()}
        for address in ("127.0.0.1", self.host):
            with suppress(OSError):
                name, aliases, _ = socket.gethostbyaddr(address)
                names |= {name, *aliases}
        return sorted(names - {self.host})

    def _make_queue(self) -> None:
        self._configure("-Ap", "smp", PARALLEL_ENVIRONMENT)
        consumables = "".join(f"{name} {name} INT <= YES YES 0 0\n" for name, _ in self.settings.resources)
        self._configure("-Mc", "complexes", self._shown("-sc") + consumables)
        amounts = ",".join(f"{name}={amount}" for name, amount in self.settings.resources) or "NONE"
        host = (
            f"hostname {self.host}\nload_scaling NONE\ncomplex_values {amounts}\nuser_lists NONE\n"
            "xuser_lists NONE\nprojects NONE\nxprojects NONE\nusage_scaling NONE\nreport_variables NONE\n"
        )
        self._configure("-Me", "host", host)
        queue = "".join(f"{name} {value}\n" for name, value in QUEUE_CONFIGURATION.items())
        self._configure("-Aq", "queue", queue.format(host=self.host, slots=self.settings.slots))

    def _changed(self, text: str, values: dict[str, str]) -> str:
        """Return a configuration with some of its lines replaced."""
        lines = [line for line in text.splitlines() if line.partition(" ")[0] not in values]
        return "\n".join([*lines, *(f"{name} {value}" for name, value in values.items())]) + "\n"

    def _shown(self, *words: str) -> str:
        done = self.run("qconf", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _configure(self, option: str, name: str, text: str) -> None:
        self._qconf(option, str(self._write(name, text)))

    def _qconf(self, *words: str) -> None:
        done = self.run("qconf", *words)
        if done.returncode:
            raise GridEngineDidNotStart(f"qconf {' '.join(words)}: {done.stdout} {done.stderr}")

    def _make(self, *command: str | Path) -> None:
        done = self.run(*map(str, command))
        if done.returncode:
            raise GridEngineDidNotStart(f"{command[0]}: {done.stdout} {done.stderr}")

    def _write(self, name: str, text: str) -> Path:
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        return path

    def _start(self, name: str, program: str) -> None:
        log = self.home / "log" / f"{name}.out"
        self._warden.start(name, str(PROGRAMS / program), environ=self._environ, log=log)

    def _queue_is_up(self) -> bool:
        # A sixth column would contain state letters, such as u for an unreachable host.
        lines = [line.split() for line in self.run("qstat", "-f").stdout.splitlines()]
        return any(line and line[0].startswith(f"{QUEUE}@") and len(line) == 5 for line in lines)

    def _last_words(self) -> str:
        files = [*self.home.glob("log/*.out"), *self.home.glob("spool/**/messages")]
        return " | ".join(f"{file.name}: {file.read_text(errors='replace')[-400:]}" for file in files)


@pytest.fixture(scope="session")
def grid_engine() -> Iterator[GridEngine]:
    """Run a cell: tests that use it are marked ``real`` and share the xdist group ``gridengine``.

    A test that leaves jobs calls `GridEngine.clear` when it ends.
    """
    problem = why_not_here()
    if problem:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(problem)
    cell = GridEngine()
    cell.start()
    try:
        yield cell
    finally:
        cell.stop()
