"""Provide one site per kind of scheduler for meta jobs: images run in bubblewrap, keys are in the home."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

from attrs import frozen

from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import Site

PROJECT_HERE = "gaa50000"
"""The name of the project *imaging* on every system of the tests."""

# The part of singularity that jobs see: the image is a file, and bound paths are the same inside.
SINGULARITY = """\
#!/bin/bash
if [ "$1" = pull ]; then
    printf '%s\\n' "$3" >"$2"
    exit
fi
shift
args=()
while [ "${1#-}" != "$1" ]; do
    case $1 in
    --bind) args+=(--bind "$2" "$2") ;;
    --pwd) args+=(--chdir "$2") ;;
    esac
    shift 2
done
exec bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \\
    --proc /proc --dev /dev --unshare-pid --die-with-parent --ro-bind "$1" /image "${args[@]}" "${@:2}"
"""


@frozen
class Kind:
    """One kind of system: the scheduler options of two resources in its profile."""

    profile: str
    small: str
    """A resource of which one unit is the least that a job can have."""
    large: str
    """A resource of which two units show in the job's environment, if the scheduler shows them."""

    def site(
        self, root: Path, scheduler: dict[str, str], service: S3Service, prefix: str, name: str = ""
    ) -> Site:
        """Return a machine of this kind with a separate home and its jobs in *service*."""
        user = root / "user"
        write_credentials(user, service)
        write_tools(root / "tools")
        variables = {
            "HOME": str(user),
            "CLOUDQ_STORE_ENDPOINT_URL": service.endpoint_url,
            "CLOUDQ_STORE_BUCKET": BUCKET,
            "CLOUDQ_STORE_PREFIX": prefix,
            "CLOUDQ_STORE_PROFILE": "first",
            "CLOUDQ_STORE_REGION": "us-east-1",
            "CLOUDQ_AGENT_PROFILE": self.profile,
        }
        site = Site(root, scheduler | variables, name or self.profile)
        self.write_profile(site, user, root / "tools")
        return site

    def write_profile(self, site: Site, user: Path, tools: Path) -> None:
        """Write the site's own profile; its preamble gives jobs the home and the tools of the test."""
        own = site.home / "systems"
        own.mkdir(parents=True, mode=0o700)
        preamble = [f"export HOME={shlex.quote(str(user))} PATH={shlex.quote(str(tools))}:$PATH"]
        (own / f"{self.profile}.toml").write_text(
            f"poll_interval = 1\n[shell]\npreamble = {json.dumps(preamble)}\n"
            '[container]\nruntime = "singularity"\n'
            f'[resources.small]\noptions = "{self.small}"\n[resources.large]\noptions = "{self.large}"\n'
        )
        (site.home / "config.toml").write_text(f'[projects.imaging]\n{site.system} = "{PROJECT_HERE}"\n')


SLURM = Kind("slurm", "--partition=main --ntasks={n}", "--partition=urgent --ntasks={n}")
GRID_ENGINE = Kind("gridengine", "-l rt_C.small={n}", "-pe smp {n}")
LOCAL = Kind("local", "--slots={n}", "--slots={n}")
PBS = Kind("pbs", "-q workq -l select={n}", "-q workq -l select={n}:ncpus=1")
KINDS = {kind.profile: kind for kind in (SLURM, GRID_ENGINE, LOCAL, PBS)}


def write_credentials(user: Path, service: S3Service) -> Path:
    """Write ``~/.aws/credentials`` with two profiles."""
    path = user / ".aws" / "credentials"
    path.parent.mkdir(parents=True)
    keys = f"aws_access_key_id = {service.access_key}\naws_secret_access_key = {service.secret_key}\n"
    path.write_text(f"[first]\n{keys}[second]\n{keys}")
    return path


def write_tools(folder: Path) -> None:
    """Create a directory for the jobs' PATH with the stand-in for a container runtime."""
    folder.mkdir(parents=True)
    path = folder / "singularity"
    path.write_text(SINGULARITY)
    path.chmod(0o755)


def missing_tools() -> list[str]:
    """Return the commands that the stand-in needs and that are not installed here."""
    return [command for command in ("bwrap",) if shutil.which(command) is None]
