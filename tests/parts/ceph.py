"""Run a real S3 service on loopback: Ceph with one monitor, one manager, one OSD and its gateway.

All its files are in one new directory. `Ceph.stop` ends everything and leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

COMMANDS = (
    "ceph",
    "ceph-mon",
    "ceph-mgr",
    "ceph-osd",
    "monmaptool",
    "ceph-authtool",
    "radosgw",
    "radosgw-admin",
)
ACCESS_KEY = "cloudq-test"
SECRET_KEY = "cloudq-test-secret"
START_TIMEOUT_S = 80.0
MAX_OSD_STARTS = 5

CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{mon_port}]
mon initial members = a
public addr = 127.0.0.1
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv4 = true
ms bind ipv6 = false
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 1
mon max pg per osd = 1000
mon data = {home}/mon
mgr data = {home}/mgr
mgr initial modules =
osd data = {home}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd memory target = 939524096
admin socket = {home}/$name.asok
log file = {home}/log/$name.log
run dir = {home}
[client.rgw]
rgw data = {home}/rgw
rgw frontends = beast endpoint=127.0.0.1:{rgw_port}
rgw enable usage log = false
rgw enable ops log = false
"""


class CephDidNotStart(Exception):
    """A part of Ceph did not start; the message contains its last output."""


def missing_commands() -> list[str]:
    """Return the commands of Ceph that are not installed here."""
    return [command for command in COMMANDS if shutil.which(command) is None]


class Ceph:
    """The services, once started, and their addresses."""

    def __init__(self) -> None:
        # Not under pytest's directories: the path of a socket has at most 107 bytes.
        self._home = Path(tempfile.mkdtemp(prefix="ceph-"))
        self._environment = {**os.environ, "CEPH_CONF": str(self._home / "ceph.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._osd_starts = 1
        self._rgw_port = _free_port()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._rgw_port}"

    def start(self) -> None:
        """Start everything and create the user; raises `CephDidNotStart`."""
        try:
            self._configure()
            self._start_monitor()
            self._start("mgr.a", "ceph-mgr", "-i", "a")
            self._start_osd()
            self._start("rgw", "radosgw", "-n", "client.rgw")
            self._wait_until("the gateway answers", self._gateway_answers)
            self._make_user()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the services in reverse order of their start, and remove their data."""
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(timeout=5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        shutil.rmtree(self._home, ignore_errors=True)

    def _configure(self) -> None:
        for name in ("mon", "mgr", "osd", "rgw", "log"):
            (self._home / name).mkdir()
        self._fsid = str(uuid.uuid4())
        self._mon_port = _free_port()
        text = CONFIGURATION.format(
            home=self._home, fsid=self._fsid, mon_port=self._mon_port, rgw_port=self._rgw_port
        )
        (self._home / "ceph.conf").write_text(text, encoding="utf-8")

    def _start_monitor(self) -> None:
        monmap, keyring = str(self._home / "monmap"), str(self._home / "keyring")
        address = f"[v1:127.0.0.1:{self._mon_port}]"
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", address, monmap)
        everything = [word for part in ("mon", "osd", "mgr") for word in ("--cap", part, "allow *")]
        self._run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", *everything[:3])
        self._run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *everything)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring)
        self._start("mon.a", "ceph-mon", "-i", "a")
        self._wait_until("the monitor answers", lambda: self._succeeds("ceph", "-s"))

    def _start_osd(self) -> None:
        osd_id = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd_id, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_id)
        self._start("osd.0", "ceph-osd", "-i", "0")
        self._wait_until("the OSD is up", self._osd_is_up)

    def _osd_is_up(self) -> bool:
        # An OSD that contacts the monitor before it has the monitor's map gets "wrong fsid" and exits.
        if self._daemons[-1].poll() is not None and self._osd_starts < MAX_OSD_STARTS:
            self._osd_starts += 1
            del self._daemons[-1]
            self._start("osd.0", "ceph-osd", "-i", "0")
        return "1 up" in self._run("ceph", "osd", "stat")

    def _make_user(self) -> None:
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        self._run(
            "radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=test", "--display-name=test", *keys
        )

    def _start(self, name: str, *command: str) -> None:
        with (self._home / "log" / f"{name}.out").open("ab") as output:
            daemon = subprocess.Popen(
                [*command, "-f", "--pid-file="],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._daemons.append(daemon)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise CephDidNotStart(f"{command[0]} failed: {done.stderr[-500:]}")
        return done.stdout

    def _succeeds(self, *command: str) -> bool:
        try:
            subprocess.run(command, env=self._environment, capture_output=True, timeout=5, check=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False
        return True

    def _gateway_answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint_url, timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        ends = time.monotonic() + START_TIMEOUT_S
        while not holds():
            if any(daemon.poll() is not None for daemon in self._daemons) or time.monotonic() > ends:
                raise CephDidNotStart(f"waited in vain until {what}; {self._last_words()}")
            time.sleep(0.2)

    def _last_words(self) -> str:
        outputs = sorted((self._home / "log").glob("*.out"))
        return " | ".join(f"{output.name}: {output.read_text(errors='replace')[-300:]}" for output in outputs)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
