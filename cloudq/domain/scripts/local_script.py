"""The conversion of a meta jobscript, by profile and mapping, into the script that runs on one system.

The conversion is pure. Options are words for the submit command, never lines of a script; a value never
becomes a separate word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import MAX_FILE_NAME_BYTES
from cloudq.domain.problems import Problems
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.option_template import OptionTemplate
from cloudq.domain.scripts.system_mapping import SystemMapping
from cloudq.domain.scripts.system_profile import (
    NO_CONTAINERS,
    ResourceProfile,
    SystemProfile,
    walltime_values,
)

_SUFFIX = "_local"


@frozen(kw_only=True)
class LocalScript:
    """A script as one system runs it, with everything that belongs to it."""

    name: str
    body: bytes
    has_shebang: bool
    interpreter: str
    options: tuple[str, ...]
    """Words for the submit command."""
    environment: Mapping[str, str]
    """Variables that the job shell exports."""
    preamble: tuple[str, ...]
    """Lines of shell code that the job shell runs."""
    images: tuple[str, ...]
    """The URLs of the images for CONTAINER_IMG0, 1, …"""
    array: ArrayRange | None = None


def convert(
    script: MetaScript, profile: SystemProfile, mapping: SystemMapping, array: ArrayRange | None = None
) -> LocalScript:
    """Convert *script* for the system of *mapping*. Raises `InvalidInput` with all problems."""
    conversion = _Conversion(script, profile, mapping)
    problems = Problems()
    problems.extend(mapping.problems())
    options: list[str] = []
    parts = (conversion.project, conversion.resource, conversion.walltime)
    for part in () if problems else parts:
        options.extend(problems.collect(part) or ())
    problems.extend(conversion.limit_problems(array))
    if problems:
        raise InvalidInput([f"{mapping.system}: {problem}" for problem in problems])
    return LocalScript(
        name=local_name_of(script.name),
        body=script.plain_body,
        has_shebang=script.has_shebang,
        interpreter=script.interpreter,
        options=(*options, *script.other_opts),
        environment=_environment(profile, mapping),
        preamble=(*profile.preamble, *(f"module load {module}" for module in profile.modules)),
        images=script.container_imgs,
        array=array,
    )


def local_name_of(name: str) -> str:
    """Return the name of the converted script: ``mjob.sh`` becomes ``mjob_local.sh``."""
    path = PurePosixPath(name)
    suffix = path.suffix if len(path.suffix.encode()) <= 20 else ""
    stem = name.removesuffix(suffix).encode()[: MAX_FILE_NAME_BYTES - len(_SUFFIX) - len(suffix.encode())]
    return f"{stem.decode(errors='ignore')}{_SUFFIX}{suffix}"


def _environment(profile: SystemProfile, mapping: SystemMapping) -> dict[str, str]:
    runtime = profile.container_runtime
    chosen = {"CLOUDQ_CONTAINER_RUNTIME": runtime} if runtime else {}
    return {"SYSTEM": mapping.system, **chosen}


@frozen
class _Conversion:
    script: MetaScript
    profile: SystemProfile
    mapping: SystemMapping

    def project(self) -> tuple[str, ...]:
        """Return the options for the project, if the system has options for one."""
        template = self.profile.project
        if template is None:
            return ()
        return template.fill({"project": self.mapping.project or self.script.project})

    def resource(self) -> tuple[str, ...]:
        """Return the options for the requested number of the resource."""
        template, name = self._resource_template()
        n = self.script.n_resource
        if "n" not in template.fields and n > 1:
            raise InvalidInput(f"n_resource {n}: at most 1 of resource {name}")
        values = {"n": str(n), "resource": name}
        return template.fill({key: values[key] for key in template.fields})

    def walltime(self) -> tuple[str, ...]:
        """Return the options for the time limit, if the script asks for one."""
        walltime = self.script.walltime
        if walltime is None:
            return ()
        if self.profile.walltime is None:
            raise InvalidInput(f"walltime {walltime}: profile {self.profile.name} has no option for it")
        return self.profile.walltime.fill(walltime_values(walltime))

    def limit_problems(self, array: ArrayRange | None) -> Iterator[str]:
        """Yield everything that exceeds what the system provides."""
        script, limits = self.script, self.profile.limits
        most = self._most()
        if most is not None and script.n_resource > most:
            yield f"n_resource {script.n_resource}: at most {most} of resource {self._resource_name()}"
        if limits.walltime is not None and script.walltime is not None and script.walltime > limits.walltime:
            yield f"walltime {script.walltime}: at most {limits.walltime}"
        if problem := limits.array_problem(array):
            yield problem
        if script.container_imgs and self.profile.container_runtime == NO_CONTAINERS:
            yield "container_img: the system has no container runtime"

    def _resource_template(self) -> tuple[OptionTemplate, str]:
        name = self._resource_name()
        mapped = self.mapping.resource_options
        if mapped is not None:
            return mapped, name
        resource = self.profile.resources.get(name)
        template = (
            resource.options
            if resource is not None and resource.options is not None
            else self.profile.resource
        )
        if template is None:
            there_are = ", ".join(sorted(self.profile.resources)) or "none"
            raise InvalidInput(
                f"profile {self.profile.name} has no resource {name!r} (known: {there_are}); "
                "map the name in the configuration"
            )
        return template, name

    def _resource_name(self) -> str:
        mapped = self.mapping.resource
        return mapped if mapped and not mapped.startswith("-") else self.script.resource

    def _most(self) -> int | None:
        if self.mapping.resource.startswith("-"):
            return None
        resource = self.profile.resources.get(self._resource_name(), ResourceProfile())
        return self.profile.limits.n_resource if resource.max_n is None else resource.max_n
