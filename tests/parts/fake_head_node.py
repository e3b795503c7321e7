"""Play the commands that only a head node has: dnf, aws, runuser, systemd, CloudWatch's agent.

Run as ``python fake_head_node.py COMMAND …`` with only the standard library. Each call is noted on one line.
Where the real commands would contact AWS, these contact the service that the test's notes name.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HOME = Path(os.environ.get("FAKE_HEAD_NODE", ""))
COMMANDS = ("dnf", "aws", "curl", "runuser", "systemctl", "amazon-cloudwatch-agent-ctl")
PACKAGES = {"docker": "docker", "nvidia-container-toolkit": "nvidia-ctk"}
"""The packages known here; calls of their commands are noted and do nothing."""
RESTART_S = 0.5
"""The replacement for RestartSec."""

PYTHON = """\
#!/bin/bash
# A Python whose environments see what cloudq depends on, as if an index had been asked.
set -e
"{python}" "$@"
if [ "$1 $2" = "-m venv" ]; then
    for place in "${{!#}}"/lib/python*/site-packages; do
        echo "{dependencies}" >"$place/dependencies.pth"
    done
fi
"""


def world() -> dict[str, str]:
    """Return the test's notes: the places of things that a machine in AWS simply has."""
    told: dict[str, str] = json.loads((HOME / "world.json").read_text())
    return told


def dnf(words: list[str]) -> int:
    """Play ``install … PACKAGE`` for the packages known here."""
    bin_directory = Path("/usr/local/bin")
    if words[-1] == "python3.11":
        path, text = bin_directory / "python3.11", PYTHON.format(**world())
    elif words[-1] in PACKAGES:
        name = PACKAGES[words[-1]]
        path = bin_directory / name
        text = f'#!/bin/sh\nexec "{sys.executable}" -I -S "{__file__}" {name} "$@"\n'
    else:
        print(f"no package {words[-1]} in this test", file=sys.stderr)
        return 1
    path.write_text(text)
    path.chmod(0o755)
    return 0


def aws(words: list[str]) -> int:
    """Play ``s3 cp URL FILE`` and ``secretsmanager get-secret-value`` with the test's data."""
    if words[:2] == ["s3", "cp"]:
        url, target = words[-2:]
        source = HOME / "bucket" / url.removeprefix("s3://")
        if not source.is_file():
            print(f"fatal error: An error occurred (404): {url} does not exist", file=sys.stderr)
            return 1
        shutil.copyfile(source, target)
        return 0
    secrets = json.loads((HOME / "secrets.json").read_text())
    name = words[words.index("--secret-id") + 1]
    if name not in secrets:
        print("An error occurred (AccessDeniedException) when calling GetSecretValue", file=sys.stderr)
        return 254
    print(secrets[name])
    return 0


def runuser(words: list[str]) -> int:
    """Play ``-u USER -- COMMAND …``: all users are the same here."""
    os.execvp(words[3], words[3:])


def systemctl(words: list[str]) -> int:
    """Play only what a script needs to install one service; ``restart`` keeps it running as systemd does."""
    verb, *units = [word for word in words if not word.startswith("--")]
    if verb == "restart":
        for unit in filter(_has_file, units):  # the units of packages are only noted
            _stop(unit)
            _supervise(unit)
    elif verb == "stop":
        for unit in units:
            _stop(unit)
    return 0


def do_nothing(_: list[str]) -> int:
    """Do nothing: the call was noted."""
    return 0


def _has_file(unit: str) -> bool:
    return Path("/etc/systemd/system", unit).is_file()


def _pid_file(unit: str) -> Path:
    return HOME / f"{unit}.pid"


def _stop(unit: str) -> None:
    """Ask the supervisor to stop, and wait until its service has ended."""
    if not _pid_file(unit).exists():
        return
    os.kill(int(_pid_file(unit).read_text()), signal.SIGTERM)
    while _pid_file(unit).exists():
        time.sleep(0.05)


def _supervise(unit: str) -> None:
    pid = os.fork()
    if pid:
        _pid_file(unit).write_text(str(pid))
        return
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    try:
        _keep_running(_service(unit))
    finally:
        _pid_file(unit).unlink()
        os._exit(0)


def _service(unit: str) -> dict[str, list[str]]:
    """Return the section of the unit that describes how to run it."""
    section, found = "", {}
    for line in Path("/etc/systemd/system", unit).read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line:
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def _keep_running(service: dict[str, list[str]]) -> None:
    [user], [command], [restart] = service["User"], service["ExecStart"], service["Restart"]
    [home] = [
        line.split(":")[5] for line in Path("/etc/passwd").read_text().splitlines() if line.startswith(user)
    ]
    environ = dict(word.split("=", 1) for line in service["Environment"] for word in shlex.split(line))
    environ |= {"HOME": home, "USER": user, "LOGNAME": user, "SHELL": "/bin/bash"}
    environ |= json.loads(world()["service_environment"])
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    while not asked:
        running = subprocess.Popen(shlex.split(command), env=environ, cwd=service["WorkingDirectory"][0])
        (HOME / "main.pid").write_text(str(running.pid))
        while running.poll() is None and not asked:
            time.sleep(0.05)
        if asked:
            running.terminate()
        running.wait()
        if restart != "always":
            return
        time.sleep(0 if asked else RESTART_S)


CALLS: dict[str, Callable[[list[str]], int]] = {
    "dnf": dnf,
    "aws": aws,
    "curl": do_nothing,
    "docker": do_nothing,
    "nvidia-ctk": do_nothing,
    "runuser": runuser,
    "systemctl": systemctl,
    "amazon-cloudwatch-agent-ctl": do_nothing,
}


if __name__ == "__main__":
    name, *given = sys.argv[1:]
    with (HOME / "calls").open("a") as calls:
        calls.write(json.dumps([name, *given]) + "\n")
    sys.exit(CALLS[name](given))
