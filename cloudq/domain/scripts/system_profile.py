"""The properties of a kind of system: the values in a profile's TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.option_template import OptionTemplate
from cloudq.domain.scripts.walltime import Walltime

NO_CONTAINERS = "none"
CONTAINER_RUNTIMES = ("apptainer", "singularity", "podman", "docker", NO_CONTAINERS)

PROJECT_FIELDS = frozenset({"project"})
RESOURCE_FIELDS = frozenset({"resource", "n"})
WALLTIME_FIELDS = frozenset({"walltime_seconds", "walltime_minutes", "walltime_hms"})


def walltime_values(walltime: Walltime) -> dict[str, str]:
    """Return a time limit in the units that schedulers accept; minutes are rounded up."""
    return {
        "walltime_seconds": str(walltime.seconds),
        "walltime_minutes": str(-(-walltime.seconds // 60)),
        "walltime_hms": str(walltime),
    }


@frozen
class ResourceProfile:
    """A resource that a system is known to have; without *options*, those of the profile are used."""

    options: OptionTemplate | None = None
    max_n: int | None = None


@frozen
class Limits:
    """Limits that are checked before a scheduler would refuse; None: no limit is known."""

    n_resource: int | None = None
    walltime: Walltime | None = None
    array_lists: bool = True
    """Whether task ids may be a list such as ``1,3,5``."""
    array_running: bool = True
    """Whether ``%N`` may limit how many tasks run at once."""

    def array_problem(self, array: ArrayRange | None) -> str:
        """Return why the scheduler would not accept these task ids; empty if it would."""
        if array is None:
            return ""
        if len(array.spans) > 1 and not self.array_lists:
            return f"array range {str(array)!r}: the scheduler accepts FIRST-LAST:STEP, not a list"
        if array.max_running is not None and not self.array_running:
            return f"array range {str(array)!r}: the scheduler cannot limit how many tasks run at once"
        return ""


def _no_resources() -> Mapping[str, ResourceProfile]:
    return MappingProxyType({})


@frozen(kw_only=True)
class SystemProfile:
    """A system profile. Times are seconds; fields that a scheduler does not need keep their defaults."""

    name: str
    scheduler: str
    poll_interval: float = 10.0
    """The time between two queries for all jobs."""
    query_limit: float = 60.0
    """The time after which a query counts as failed."""
    submit_wait: float = 30.0
    """How long an agent waits for a submit command before it continues with other jobs."""
    submit_limit: float = 120.0
    """The time after which a submit command is ended."""
    project: OptionTemplate | None = None
    """Options for a meta job's project; None: projects are ignored."""
    resource: OptionTemplate | None = None
    """Options for any resource; None: jobs can ask only for those in *resources*."""
    walltime: OptionTemplate | None = None
    """Options for a time limit; None: jobs cannot ask for one."""
    resources: Mapping[str, ResourceProfile] = field(factory=_no_resources)
    preamble: tuple[str, ...] = ()
    """Lines of shell code, written by the site, that a meta job's shell runs before the script."""
    modules: tuple[str, ...] = ()
    """Environment modules to load before the script."""
    container_runtime: str = ""
    """One of `CONTAINER_RUNTIMES`; empty: whichever of them is found."""
    limits: Limits = Limits()
