"""Run the unchanged script of a preset on a head node in a scratch root, with stand-ins for AWS.

The shell, Python and pip, the wheel, the commands of Slurm and the agent are real; `fake_head_node` is the
rest. bubblewrap gives the script a separate root, so that it may write to ``/etc`` and ``/opt``. The home
directory has the same path inside and outside, as compute nodes see it. Nothing outlives the test.
"""

from __future__ import annotations

import getpass
import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from attrs import define, evolve, frozen
from packaging.requirements import Requirement

from cloudq.ports.presets import Wheel
from tests.parts import fake_head_node
from tests.parts.slurm import SBIN, Slurm
from tests.parts.warden import Warden

ROOT = Path(__file__).parents[2]
USER = "ec2-user"
LOG_GROUP = "/aws/parallelcluster/mine-202611230000"
BOOT_TIMEOUT_S = 180.0
OF_THE_HOST = ("hosts", "resolv.conf", "ld.so.cache", "localtime")
THERE_LATER = "/usr/bin/python3.11"
"""The interpreter that dnf installs on the head node, whatever this machine has."""
SLURM_COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "sinfo", "sacct")


@frozen
class Boot:
    """The result of one run of the script."""

    status: int
    said: str


@define
class HeadNode:
    """The machine; its files are below `root`."""

    warden: Warden
    slurm: Slurm | None
    surroundings: Mapping[str, str]
    """Variables for the script and for services, which replace what a machine in AWS simply has."""
    boots: int = 0

    @property
    def root(self) -> Path:
        return self.warden.home

    @property
    def home(self) -> Path:
        """Return the home of the user that the agent runs as."""
        return self.root / "home" / USER

    @property
    def notes(self) -> Path:
        """Return the directory of the stand-ins' notes."""
        return self.root / "notes"

    def boot(self, script: bytes, *arguments: str) -> Boot:
        """Run the script as ParallelCluster does, until it ends."""
        self.boots += 1
        file = self.root / "head-node.sh"
        file.write_bytes(script)
        status, log = (self.root / f"boot{self.boots}.{kind}" for kind in ("status", "log"))
        noting = '"$@"; echo $? >"$0.new"; mv "$0.new" "$0"'
        command = ("/bin/sh", "-c", noting, str(status), *self._inside("/bin/bash", str(file), *arguments))
        self.warden.start(f"boot{self.boots}", *command, environ=self._environ(), log=log)
        ends = time.monotonic() + BOOT_TIMEOUT_S
        while not status.exists():
            assert time.monotonic() < ends, log.read_text()
            time.sleep(0.1)
        return Boot(int(status.read_text()), log.read_text())

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine until it ends."""
        argv = self._inside(*command)
        return subprocess.run(
            argv, env=self._environ(), capture_output=True, text=True, timeout=60, check=False
        )

    def calls(self, command: str) -> list[list[str]]:
        """Return the arguments of a stand-in's calls."""
        lines = (self.notes / "calls").read_text().splitlines() if (self.notes / "calls").exists() else []
        return [words for name, *words in map(json.loads, lines) if name == command]

    def agent_pid(self) -> int:
        """Return the process id that the service started last."""
        return int((self.notes / "main.pid").read_text())

    def agent_log(self) -> str:
        """Return the agent's log, to explain a failed test."""
        return (self.home / ".cloudq" / "log" / "cloudqd.log").read_text()[-5000:]

    def put_object(self, url: str, data: bytes) -> None:
        """Put an object into the set-up bucket."""
        path = self.notes / "bucket" / url.removeprefix("s3://")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def put_gpu(self) -> None:
        """Create a device of NVIDIA's."""
        device = self.root / "sys/bus/pci/devices/0000:00:1e.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text("0x10de\n")

    def put_secret(self, name: str, text: str) -> None:
        (self.notes / "secrets.json").write_text(json.dumps({name: text}))

    def set_up(self) -> None:
        """Create the files of the root."""
        for name in ("etc/chef", "etc/systemd/system", "opt/slurm/bin", "bin", "usr-local", "notes"):
            (self.root / name).mkdir(parents=True)
        self.home.mkdir(parents=True, mode=0o700)
        self._lay_out_etc()
        python = self._lay_out_python()
        self._lay_out_commands(python)
        dependencies = self.root / "dependencies"
        link_dependencies(dependencies)
        world = {
            "python": str(python),
            "dependencies": str(dependencies),
            # The user has the ids of the account that runs the tests, so that all files belong to it.
            "service_environment": json.dumps({"CLOUDQ_AGENT_ALLOW_ROOT": "true", **self.surroundings}),
        }
        (self.notes / "world.json").write_text(json.dumps(world))

    def _lay_out_etc(self) -> None:
        etc = self.root / "etc"
        for name in OF_THE_HOST:
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), etc / name)
        ids = f"{os.getuid()}:{os.getgid()}"
        users = f"{USER}:x:{ids}::{self.home}:/bin/bash\n{getpass.getuser()}:x:{ids}::/:/bin/bash\n"
        (etc / "passwd").write_text(users)  # the other user is the one who runs the tests' Slurm
        (etc / "group").write_text(f"{USER}:x:{os.getgid()}:\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        told = {"cluster": {"log_group_name": LOG_GROUP, "cw_logging_enabled": "true"}}
        (etc / "chef" / "dna.json").write_text(json.dumps(told))

    def _lay_out_python(self) -> Path:
        """Lay out the host's interpreter where it stays visible, while what dnf installs later is hidden."""
        own = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
        if own.resolve() != Path(THERE_LATER):
            return own
        copy = self.root / "interpreter" / own.name
        copy.parent.mkdir()
        return Path(shutil.copy(own, copy))

    def _lay_out_commands(self, python: Path) -> None:
        script = Path(fake_head_node.__file__)
        folders = dict.fromkeys(fake_head_node.COMMANDS, self.root / "bin")
        folders["amazon-cloudwatch-agent-ctl"] = self.root / "opt/aws/amazon-cloudwatch-agent/bin"
        for name, folder in folders.items():
            words = f'exec "{python}" -I -S "{script}" {name} "$@"'
            _executable(folder / name, f'FAKE_HEAD_NODE="{self.notes}" {words}')
        if self.slurm is not None:
            known = " ".join(f'{name}="{value}"' for name, value in self.slurm.environment().items())
            for name in SLURM_COMMANDS:
                words = f'exec "{shutil.which(name, path=SBIN)}" "$@"'
                _executable(self.root / "opt/slurm/bin" / name, f"{known} {words}")

    def _environ(self) -> dict[str, str]:
        """Return an environment like ParallelCluster's; pip must not contact an index."""
        path = f"{self.root}/bin:/usr/local/bin:/usr/bin:/bin"
        known = {"FAKE_HEAD_NODE": str(self.notes)}
        return {**self.surroundings, **known, "PATH": path, "PIP_NO_INDEX": "1", "LANG": "C.UTF-8"}

    def _inside(self, *command: str) -> list[str]:
        """Return *command* with the root of this machine; processes and network are the host's."""
        seen = [sys.base_prefix, sys.prefix, str(ROOT / "tests" / "parts")]
        seen += [str(self.slurm.home)] if self.slurm else []
        own = {"etc": "/etc", "opt": "/opt", "usr-local": "/usr/local/bin"}
        argv = ["bwrap", "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        for name in ("/bin", "/sbin", "/lib", "/lib64"):
            is_link = Path(name).is_symlink()
            argv += (
                ["--symlink", str(Path(name).readlink()), name] if is_link else ["--ro-bind-try", name, name]
            )
        for path in dict.fromkeys(seen):
            argv += ["--ro-bind", path, path]
        for name, inside in own.items():
            argv += ["--bind", str(self.root / name), inside]
        argv += ["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"]
        argv += ["--bind", str(self.root), str(self.root)]
        argv += ["--ro-bind", f"{self.root}/sys", "/sys"] if (self.root / "sys").exists() else []
        if Path(THERE_LATER).exists():
            argv += ["--ro-bind", os.devnull, THERE_LATER]
        return [*argv, "--", *command]


def _executable(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def link_dependencies(folder: Path) -> None:
    """Fill a directory with cloudq's dependencies, and with nothing else of this environment."""
    folder.mkdir()
    for found in _required(distribution("cloudq"), {}).values():
        for top in {
            file.parts[0] for file in found.files or () if file.parts[0] not in {"..", "__pycache__"}
        }:
            target = Path(str(found.locate_file(top)))
            if target.exists() and not (folder / top).exists():
                (folder / top).symlink_to(target)


def pinned_to_what_is_here(wheel: Wheel) -> Wheel:
    """Return *wheel* with requirements that the linked dependencies meet: the tests contact no index."""
    lines = (
        f"{name}=={found.version} --hash=sha256:{'0' * 64}\n"
        for name, found in _required(distribution("cloudq"), {}).items()
    )
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as old, zipfile.ZipFile(new, "w") as changed:
        for entry in old.infolist():
            pins = entry.filename.endswith("/head-node-requirements.txt")
            changed.writestr(entry, "".join(lines) if pins else old.read(entry))
    return evolve(wheel, content=new.getvalue())


def _required(of: Distribution, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Return all direct and indirect dependencies of a distribution on this machine, by name."""
    for requirement in map(Requirement, of.requires or ()):
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name not in found:
            found[requirement.name] = distribution(requirement.name)
            _required(found[requirement.name], found)
    return found


@contextmanager
def head_node(slurm: Slurm | None = None, **surroundings: str) -> Iterator[HeadNode]:
    """Provide a machine in its state before the first run of the script."""
    if shutil.which("bwrap") is None:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain("not installed here: bubblewrap")
    machine = HeadNode(Warden("head"), slurm, surroundings)
    try:
        machine.set_up()
        yield machine
    finally:
        machine.warden.close()
