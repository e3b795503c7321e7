"""Run a real Slurm on loopback: one controller, several nodes that share this machine, and a separate munge.

Nothing of it needs root, systemd, or a file outside its one new directory, and nothing outlives it, not even
when the test run is killed (`warden.Warden`). As on AWS ParallelCluster, there is no accounting unless it is
requested: a job is forgotten soon after its end.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from tests.parts.warden import Warden

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
ACCOUNTING_COMMANDS = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb", "sacct", "sacctmgr")
SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""A PATH with the daemons' directories, which many users do not have on theirs."""

START_TIMEOUT_S = 60.0
DEFAULT_PARTITION = "main"
URGENT_PARTITION = "urgent"
"""A partition whose jobs preempt those of the other partition, which are put back into the queue."""

# Slurm looks for overdue jobs, and for jobs to forget, every 30 s; no setting changes that. A job that was
# put back into the queue waits there as long as credentials are valid (cred_expire), by default two minutes.
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}({address})
SlurmctldPort={controller_port}
CommunicationParameters={communication}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={home}/munge.socket,cred_expire=10
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool.%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.%n.pid
SlurmctldLogFile={home}/log/slurmctld.log
SlurmdLogFile={home}/log/slurmd.%n.log
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=1,default_queue_depth=2000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdTimeout={slurmd_timeout}
KillWait={kill_wait}
MinJobAge={min_job_age}
MaxArraySize={max_array_size}
MaxJobCount=10000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
"""
NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none\n"
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={address}
AccountingStoragePort={accounting_port}
AccountingStoragePass={home}/munge.socket
"""
SLURMDBD_CONFIGURATION = """\
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
DbdHost={host}
DbdAddr={address}
CommunicationParameters={communication}
DbdPort={accounting_port}
SlurmUser={user}
PidFile={home}/slurmdbd.pid
LogFile={home}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
"""
MAKE_DATABASE = """\
CREATE DATABASE slurm;
CREATE USER slurm@127.0.0.1 IDENTIFIED BY '{password}';
GRANT ALL ON slurm.* TO slurm@127.0.0.1;
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr={address} Port={port} CPUs={cpus} State=UNKNOWN\n"


class SlurmDidNotStart(Exception):
    """A part of Slurm did not start; the message contains its last output."""


def missing_commands(*, accounting: bool = False) -> list[str]:
    """Return the commands of Slurm that are not installed here."""
    needed = COMMANDS + ACCOUNTING_COMMANDS * accounting
    return [command for command in needed if shutil.which(command, path=SBIN) is None]


@frozen(kw_only=True)
class SlurmSettings:
    """The settings of a cluster; times in seconds."""

    nodes: int = 2
    cpus: int = 4
    """The number of CPUs, and thus of simultaneous jobs, of each node, independent of this machine."""
    min_job_age: int = 20
    """The least time that a job is known after its end; it may be half a minute more. The minimum is 2."""
    kill_wait: int = 5
    """The time between TERM and KILL for a job."""
    max_array_size: int = 101
    """One more than the highest index of an array."""
    slurmd_timeout: int = 10
    """The time without contact after which a node's jobs are given up."""
    accounting: bool = False
    """Whether ``sacct`` remembers jobs; the start then takes some seconds more."""


class Slurm:
    """The cluster, once started. Its nodes are named ``n1``, ``n2`` and so on."""

    def __init__(self, settings: SlurmSettings | None = None) -> None:
        self.settings = settings or SlurmSettings()
        self.nodes = tuple(f"n{number}" for number in range(1, self.settings.nodes + 1))
        self._warden = Warden("slurm")
        self.home = self._warden.home
        self._environ = {**os.environ, **self.environment(), "PATH": SBIN}

    def start(self) -> None:
        """Start everything and wait until jobs can run; raises `SlurmDidNotStart`."""
        try:
            self._configure()
            self._start_munge()
            if self.settings.accounting:
                self._start_accounting()
            self.start_controller()
            for node in self.nodes:
                self._start_slurmd(node)
            self.wait_until("all nodes are idle", self._all_are_idle)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all daemons and all jobs with their child processes, and remove the directory."""
        self._warden.close()

    def environment(self) -> dict[str, str]:
        """Return the variables that a process needs to use this cluster."""
        return {"SLURM_CONF": str(self.home / "slurm.conf")}

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of Slurm's commands until it ends, with any exit status."""
        return subprocess.run(
            command,
            env=self._environ,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def show_job(self, job_id: str) -> dict[str, str]:
        """Return the fields of a job or of one task (``12_3``) in ``scontrol``; empty if it is unknown."""
        said = self.run("scontrol", "show", "job", "-o", job_id).stdout.splitlines()
        # Values may contain blanks (a job's name); a test reads those lines itself.
        return dict(word.split("=", 1) for word in said[0].split() if "=" in word) if said else {}

    def wait_until(self, what: str, holds: Callable[[], bool], longest_s: float = START_TIMEOUT_S) -> None:
        """Wait until *holds* is true; raises `SlurmDidNotStart` if it never is."""
        ends = time.monotonic() + longest_s
        while not holds():
            if time.monotonic() > ends:
                raise SlurmDidNotStart(f"waited in vain until {what}; {self._last_words()}")
            time.sleep(0.1)

    def wait_for_state(self, job_id: str, *states: str, longest_s: float = START_TIMEOUT_S) -> dict[str, str]:
        """Wait until a job is in one of *states* (``RUNNING`` …); return its fields."""
        shown: dict[str, str] = {}

        def is_there() -> bool:
            nonlocal shown
            shown = self.show_job(job_id)
            return shown.get("JobState") in states

        self.wait_until(f"job {job_id} is {' or '.join(states)}", is_there, longest_s)
        return shown

    def let_time_run_out(self, job_id: str) -> None:
        """Let a running job reach its time limit, of at least one minute. Takes up to 30 s."""
        self._change("JobId=" + job_id, "EndTime=now")

    def clear(self) -> None:
        """Cancel all jobs and make all nodes idle again, whatever a test left behind."""
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        self.run("scancel", "--user", getpass.getuser())
        self.wait_until("no job is left", lambda: not self.run("squeue", "-h").stdout)
        for node in self.nodes:
            # Refused for a node that has no state to resume from.
            self.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        self.wait_until("all nodes are idle", self._all_are_idle)

    def set_node(self, name: str, state: str) -> None:
        """Set a node to ``drain``, ``down`` (its jobs are given up at once) or ``resume``."""
        self._change(f"NodeName={name}", f"State={state.upper()}", "Reason=test")

    def crash_node(self, name: str) -> None:
        """Simulate a power failure of a node: its jobs vanish, and the controller gets no notice.

        The controller gives the jobs up when the node has been silent for ``slurmd_timeout``, or is
        back.
        """
        self._warden.stop(f"slurmd.{name}", signal.SIGKILL)
        self._warden.kill_holders(self.home / "log" / f"slurmd.{name}.log")

    def start_node(self, name: str) -> None:
        """Start a node again after `crash_node`."""
        if f"slurmd.{name}" not in self._warden.running():
            self._start_slurmd(name)

    def stop_controller(self, *, crash: bool = False) -> None:
        """Shut the controller down, or kill it; jobs continue to run.

        When it is killed, it loses the changes of the last seconds, because it saves its state only
        now and then.
        """
        self._warden.stop("slurmctld", signal.SIGKILL if crash else signal.SIGTERM)

    def save_state(self, job_id: str) -> None:
        """Make the controller save its data on a job, before a crash."""
        file = self.home / "state" / "job_state"
        before = file.stat().st_mtime_ns if file.exists() else 0
        # A change is saved after a few seconds: so change a field that no test reads.
        self._change("JobId=" + job_id, "AdminComment=saved")
        self.wait_until("the state is saved", lambda: file.exists() and file.stat().st_mtime_ns != before)

    def start_controller(self) -> None:
        """Start the controller with its earlier state, and wait until it answers."""
        if "slurmctld" not in self._warden.running():
            self._start("slurmctld", "slurmctld", "-D", "-i")
        self.wait_until("the controller answers", self._controller_answers)

    def _configure(self) -> None:
        self.home.chmod(0o755)  # every user must reach munge's socket
        for name in ("log", "state", *(f"spool.{node}" for node in self.nodes)):
            (self.home / name).mkdir()
        host, address, communication = self._where = _where_to_listen()
        controller_port, self._accounting_port, self._database_port, *ports = free_ports(3 + len(self.nodes))
        text = CONFIGURATION.format(
            home=self.home,
            user=getpass.getuser(),
            host=host,
            address=address,
            communication=communication,
            controller_port=controller_port,
            slurmd_timeout=self.settings.slurmd_timeout,
            kill_wait=self.settings.kill_wait,
            min_job_age=self.settings.min_job_age,
            max_array_size=self.settings.max_array_size,
        )
        accounting = ACCOUNTING if self.settings.accounting else NO_ACCOUNTING
        text += accounting.format(home=self.home, address=address, accounting_port=self._accounting_port)
        for name, port in zip(self.nodes, ports, strict=True):
            text += NODE.format(name=name, host=host, address=address, port=port, cpus=self.settings.cpus)
        (self.home / "slurm.conf").write_text(text, encoding="utf-8")

    def _start_munge(self) -> None:
        key = self.home / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        places = [f"--{option}={self.home}/munge.{name}" for option, name in files.items()]
        self._start("munge", "munged", "-F", *places, f"--log-file={self.home}/log/munge.log")
        self.wait_until("munge listens", (self.home / "munge.socket").is_socket)

    def _start_accounting(self) -> None:
        data, here = f"--datadir={self.home}/database", f"--socket={self.home}/database.socket"
        user, password = getpass.getuser(), secrets.token_hex(8)
        installed = self.run(
            "mariadb-install-db", "--no-defaults", data, f"--user={user}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
        )  # fmt: skip
        if installed.returncode:
            raise SlurmDidNotStart(f"no database could be made: {installed.stdout[-300:]}")
        listen = ("--bind-address=127.0.0.1", f"--port={self._database_port}", here)
        places = (data, f"--pid-file={self.home}/database.pid", f"--user={user}")
        # slurmdbd requires the longer wait; no data here must survive a power failure.
        tuned = ("--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0")
        self._start("database", "mariadbd", "--no-defaults", *listen, *places, *tuned)
        ask = ("mariadb", "--no-defaults", here, "--user=root", "--execute")
        self.wait_until("the database answers", lambda: not self.run(*ask, "SELECT 1").returncode)
        made = self.run(*ask, MAKE_DATABASE.format(password=password))
        assert made.returncode == 0, made.stderr

        host, address, communication = self._where
        file = self.home / "slurmdbd.conf"
        file.touch(mode=0o600)
        text = SLURMDBD_CONFIGURATION.format(
            home=self.home,
            host=host,
            address=address,
            communication=communication,
            user=user,
            password=password,
            accounting_port=self._accounting_port,
            database_port=self._database_port,
        )
        file.write_text(text, encoding="utf-8")
        self._start("slurmdbd", "slurmdbd", "-D")
        self.wait_until(
            "slurmdbd answers", lambda: not self.run("sacctmgr", "-n", "list", "cluster").returncode
        )

    def _start_slurmd(self, name: str) -> None:
        self._start(f"slurmd.{name}", "slurmd", "-D", "-N", name)

    def _start(self, name: str, command: str, *arguments: str) -> None:
        found = shutil.which(command, path=SBIN)
        assert found is not None
        log = self.home / "log" / f"{name}.out"
        self._warden.start(name, found, *arguments, environ=self._environ, log=log)

    def _change(self, *what: str) -> None:
        done = self.run("scontrol", "update", *what)
        assert done.returncode == 0, done.stderr

    def _controller_answers(self) -> bool:
        if "slurmctld" not in self._warden.running():
            raise SlurmDidNotStart(f"the controller ended; {self._last_words()}")
        return "is UP" in self.run("scontrol", "ping").stdout

    def _all_are_idle(self) -> bool:
        # A star would mean: does not respond.
        return set(self.run("sinfo", "-h", "-N", "-o", "%T").stdout.split()) == {"idle"}

    def _last_words(self) -> str:
        outputs = sorted((self.home / "log").glob("*.out"))
        return " | ".join(f"{output.name}: {output.read_text(errors='replace')[-300:]}" for output in outputs)


def _where_to_listen() -> tuple[str, str, str]:
    """Return this host's name, an address of it, and the setting that limits the addresses of the daemons.

    With this setting, Slurm listens on the address to which the host's name resolves. If that is not an
    address of this machine, the only choice is to listen on all addresses.
    """
    host = socket.gethostname().partition(".")[0]
    try:
        address = socket.gethostbyname(host)
        with socket.socket() as listener:
            listener.bind((address, 0))
    except OSError:
        return host, "127.0.0.1", ""
    return host, address, "NoInAddrAny,NoCtldInAddrAny"


def free_ports(count: int) -> list[int]:
    """Return ports on which no process listens at this moment."""
    with ExitStack() as open_sockets:
        listeners = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """Run a cluster: tests that use it are marked ``real`` and share the xdist group ``slurm``.

    A test that leaves jobs, or nodes that are not idle, calls `Slurm.clear` when it ends.
    """
    with _started(SlurmSettings()) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_with_accounting() -> Iterator[Slurm]:
    """Run a cluster with ``sacct``, in which Slurm itself forgets jobs soon; otherwise like `slurm`."""
    with _started(SlurmSettings(accounting=True, min_job_age=2)) as cluster:
        yield cluster


@contextmanager
def _started(settings: SlurmSettings) -> Iterator[Slurm]:
    missing = missing_commands(accounting=settings.accounting)
    if missing:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(f"Slurm is not installed here: {', '.join(missing)}")
    cluster = Slurm(settings)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()
