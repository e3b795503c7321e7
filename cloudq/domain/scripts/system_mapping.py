"""The names of a job's project and resource on one system, as its submitter gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from attrs import field, frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.option_template import OptionTemplate

MAX_NAME_CHARS = 1_000
MAPPED_FIELDS = frozenset({"n"})


@frozen
class SystemMapping:
    """The names on one system. An empty name means that the name in the script is used.

    A *resource* that begins with ``-`` contains options, with ``{n}`` for the number of resources.
    """

    system: str
    project: str = ""
    resource: str = ""

    @property
    def resource_options(self) -> OptionTemplate | None:
        """The options that ask for the resource, if it is mapped to options. Raises `InvalidInput`."""
        if not self.resource.startswith("-"):
            return None
        return OptionTemplate.parse(self.resource, MAPPED_FIELDS)

    def problems(self) -> Iterator[str]:
        """Yield all problems of the mapping, whatever its source is."""
        for what, value in (("project", self.project), ("resource", self.resource)):
            if any(not char.isprintable() for char in value) or len(value) > MAX_NAME_CHARS:
                yield f"{what} {value[:60]!r}: not a printable name of at most {MAX_NAME_CHARS} characters"
        if self.project.startswith("-"):
            yield f"project {self.project!r}: begins with '-' and would be taken for an option"
        try:
            _ = self.resource_options
        except InvalidInput as error:
            yield from (f"resource {problem}" for problem in error.problems)


def _nothing() -> Mapping[str, Mapping[str, str]]:
    return MappingProxyType({})


@frozen
class NameTables:
    """The names of all projects and resources in a configuration: name → system → name on that system."""

    projects: Mapping[str, Mapping[str, str]] = field(factory=_nothing)
    resources: Mapping[str, Mapping[str, str]] = field(factory=_nothing)

    def mapping(self, project: str, resource: str, system: str) -> SystemMapping:
        """Return the names of a project and a resource on *system*."""
        return SystemMapping(
            system,
            self.projects.get(project, {}).get(system, ""),
            self.resources.get(resource, {}).get(system, ""),
        )

    def mappings(self, project: str, resource: str) -> tuple[SystemMapping, ...]:
        """Return these names for every system for which the configuration has usable ones."""
        systems = sorted({*self.projects.get(project, {}), *self.resources.get(resource, {})})
        mappings = (self.mapping(project, resource, system) for system in systems)
        return tuple(mapping for mapping in mappings if not list(mapping.problems()))
