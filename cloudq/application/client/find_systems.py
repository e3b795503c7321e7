"""Find the systems to which a job is offered, and give the reasons against the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from cloudq.application.shared.know_store import KnowStore
from cloudq.domain.errors import CloudqError, InvalidInput, UnknownSystem
from cloudq.domain.jobs.eligibility import why_not
from cloudq.domain.jobs.lease import AgentState, Offer
from cloudq.domain.names import span
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.system_mapping import NameTables, SystemMapping
from cloudq.ports.system_registry import SeenLease, SystemRegistry, SystemSign

GIVEN_UP_AFTER_S = 7 * 86_400.0
"""An unpinned job is not offered to a system that has been silent for longer than this."""


@frozen
class Wanted:
    """Where a job may run, by its owner's wishes; *script* is None unless it is a meta jobscript."""

    pinned: tuple[str, ...] = ()
    script: MetaScript | None = None
    array: ArrayRange | None = None
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    force: bool = False


@frozen
class Found:
    """The systems to invite, and warnings for the job's owner."""

    systems: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@frozen
class FindSystems:
    """Choose systems by what the agents report in their leases."""

    registry: SystemRegistry
    names: NameTables
    know_store: KnowStore

    def __call__(self, wanted: Wanted, problems: Sequence[str] = ()) -> Found:
        """Return the systems for a job; costs one LIST, and one GET per system that may get the job.

        Raises `UnknownSystem`, or `InvalidInput` if no system can run it; an `UnknownSystem` for a pinned job
        also lists *problems*, which the caller found before.
        """
        if not wanted.pinned and wanted.script is None:
            return Found(())
        known = self.registry.systems()
        if wanted.pinned:
            return self._kept_apart(self._pinned(wanted, known, problems))
        assert wanted.script is not None  # noqa: S101 (see above)
        return self._kept_apart(self._eligible(wanted, wanted.script, known))

    def unknown(self, systems: Iterable[str]) -> tuple[str, ...]:
        """Return a message for each of *systems* that never reported; none if the store does not answer."""
        try:
            known = self.registry.systems()
        except CloudqError:
            return ()
        return tuple(_never_reported(system, known) for system in systems if known and system not in known)

    def require_known(self, systems: Iterable[str]) -> None:
        """Raise `UnknownSystem` for systems as which no agent ever reported, if any agent ever did."""
        known = self.registry.systems()
        if known and (unknown := [system for system in systems if system not in known]):
            raise UnknownSystem("\n".join(f"{_nobody_reported(system, known)}." for system in unknown))

    def mappings(self, script: MetaScript) -> tuple[SystemMapping, ...]:
        """Return the configured names of the script's project and resource on each system."""
        return self.names.mappings(script.project, script.resource)

    def _kept_apart(self, found: Found) -> Found:
        """Raise `InvalidInput` for several systems on a weak store: more than one might run the job."""
        if self.know_store.is_weak and len(found.systems) > 1:
            raise InvalidInput(
                "this store does not enforce conditional writes, so a job can be offered to one system only, "
                f"but this one would go to {', '.join(found.systems)}: name one of them with --submit_to"
            )
        return found

    # A pinned job ----------------------------------------------------------------------------

    def _pinned(self, wanted: Wanted, known: Mapping[str, SystemSign], problems: Sequence[str]) -> Found:
        warnings: list[str] = []
        for system in wanted.pinned:
            self._require_usable_names(wanted, system)
            sign = known.get(system)
            if sign is not None:
                seen = self._seen(sign)
                self._require(wanted, system, seen)
                warnings.extend(_warn_if_away(system, seen))
            elif known and not wanted.force:
                raise UnknownSystem("\n".join([*problems, _never_reported(system, known)]))
            else:
                warnings.append(_nobody_yet(system))
        return Found(wanted.pinned, tuple(warnings))

    def _require_usable_names(self, wanted: Wanted, system: str) -> None:
        """Raise `InvalidInput` for wrong configured names, even if the pinned system has no agent yet."""
        if wanted.script is None:
            return
        mapping = self.names.mapping(wanted.script.project, wanted.script.resource, system)
        if problems := [f"{system}: {problem}" for problem in mapping.problems()]:
            raise InvalidInput(problems)

    def _require(self, wanted: Wanted, system: str, seen: SeenLease | None) -> None:
        if wanted.script is None or seen is None or wanted.force:
            return
        if reasons := self._reasons(wanted, wanted.script, system, seen.lease.offer):
            raise InvalidInput([f"{system} cannot run the job: {reason}" for reason in reasons])

    # A job for any eligible system -----------------------------------------------------------

    def _eligible(self, wanted: Wanted, script: MetaScript, known: Mapping[str, SystemSign]) -> Found:
        unknown = [system for system in wanted.only if system not in known and system not in wanted.without]
        if unknown and not wanted.force:
            raise UnknownSystem("\n".join(_never_reported(system, known) for system in unknown))
        refusals: dict[str, str] = {}
        warnings = [_nobody_yet(system) for system in unknown]
        systems = list(unknown)
        for system, sign in sorted(known.items()):
            seen = self._seen(sign) if self._is_asked_for(wanted, system) else None
            if reason := self._why_not(wanted, script, system, seen):
                refusals[system] = reason
            else:
                systems.append(system)
                warnings.extend(_warn_if_away(system, seen))
        if not systems:
            raise InvalidInput(_nowhere(refusals))
        told = [f"Not offered to {system}: {reason}." for system, reason in refusals.items()]
        return Found(tuple(systems), (f"Offered to {', '.join(systems)}.", *told, *warnings))

    def _is_asked_for(self, wanted: Wanted, system: str) -> bool:
        return system not in wanted.without and (not wanted.only or system in wanted.only)

    def _why_not(self, wanted: Wanted, script: MetaScript, system: str, seen: SeenLease | None) -> str:
        if not self._is_asked_for(wanted, system):
            return "excluded by --not" if system in wanted.without else "not among --only"
        if seen is None:
            return "its agent does not report what it offers"
        if seen.age_s > GIVEN_UP_AFTER_S and system not in wanted.only:
            return f"its agent has not reported for {span(seen.age_s)}"
        return "; ".join(self._reasons(wanted, script, system, seen.lease.offer))

    def _reasons(self, wanted: Wanted, script: MetaScript, system: str, offer: Offer) -> tuple[str, ...]:
        mapping = self.names.mapping(script.project, script.resource, system)
        is_pinned = system in wanted.pinned
        is_chosen = is_pinned or system in wanted.only
        if problems := tuple(mapping.problems()):
            return problems
        return why_not(offer, script, mapping, wanted.array, is_pinned=is_pinned, is_chosen=is_chosen)

    def _seen(self, sign: SystemSign) -> SeenLease | None:
        seen = self.registry.lease(sign)
        if seen is not None:
            self.know_store.hear(seen.lease)
        return seen


def _warn_if_away(system: str, seen: SeenLease | None) -> Iterator[str]:
    if seen is None or seen.agent_state is AgentState.STOPPED:
        yield f"The agent of {system} was stopped: the job waits until it is started."
    elif seen.agent_state is AgentState.AWAY:
        yield f"The agent of {system} has not reported for {span(seen.age_s)}: the job waits until it does."


def _nobody_yet(system: str) -> str:
    return f"No agent ever reported as {system}: the job waits until one does."


def _never_reported(system: str, known: Mapping[str, SystemSign]) -> str:
    return f"{_nobody_reported(system, known)}. Use --force to queue the job anyway."


def _nobody_reported(system: str, known: Mapping[str, SystemSign]) -> str:
    these = f"known: {', '.join(sorted(known))}" if known else "no agent ever reported"
    return f'unknown system "{system}" ({these})'


def _nowhere(refusals: Mapping[str, str]) -> list[str]:
    if not refusals:
        return ["no agent ever reported: start one with cloudqd, or name a system with --submit_to"]
    return ["no system can run the job", *(f"{system}: {reason}" for system, reason in refusals.items())]
