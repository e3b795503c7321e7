"""Find the systems to which a job is offered, and give the reasons against the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from attrs import define, field, frozen

from cloudq.application.client.check_options import CheckOptions
from cloudq.application.shared.know_store import KnowStore
from cloudq.domain.errors import (
    CloudqError,
    InvalidInput,
    NoTargetSystem,
    SystemNeverReported,
    UnknownSystem,
)
from cloudq.domain.jobs.eligibility import why_not
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.lease import AgentState, Offer
from cloudq.domain.names import span
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.system_mapping import NameTables
from cloudq.domain.scripts.target import AnySystem, Pinned
from cloudq.ports.system_registry import SeenLease, SystemSign

GIVEN_UP_AFTER_S = 7 * 86_400.0
"""An unpinned job is not offered to a system that has been silent for longer than this."""


_TOO_OLD = "its agent is an older release that would ignore arguments, variables and outputs"


@frozen
class Choice:
    """The systems to invite, and warnings for the job's owner."""

    systems: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class ReportedSystems(Protocol):
    """The part of a `SystemRegistry` that shows which agents ever reported, and what they offer."""

    def systems(self) -> Mapping[str, SystemSign]:
        """Return every system whose agent ever reported, by name."""
        ...

    def lease(self, sign: SystemSign) -> SeenLease | None:
        """Read the lease that *sign* shows; return None if it shows none."""
        ...


@define
class RememberedSystems:
    """The answers of a registry, which is asked once for all submissions of one call."""

    registry: ReportedSystems
    _signs: Mapping[str, SystemSign] | None = field(default=None, init=False)
    _leases: dict[str, SeenLease | None] = field(factory=dict, init=False)

    def systems(self) -> Mapping[str, SystemSign]:
        """Return the systems that the first answer showed."""
        if self._signs is None:
            self._signs = self.registry.systems()
        return self._signs

    def lease(self, sign: SystemSign) -> SeenLease | None:
        """Return the lease as it was first read."""
        if sign.system not in self._leases:
            self._leases[sign.system] = self.registry.lease(sign)
        return self._leases[sign.system]


@frozen
class FindSystems:
    """Choose systems by what the agents report in their leases."""

    registry: ReportedSystems
    names: NameTables
    know_store: KnowStore
    options: CheckOptions

    def __call__(self, request: JobRequest, problems: Iterable[str] = ()) -> Choice:
        """Return the systems for a job; costs one LIST, and one GET per system that may get the job.

        Raises `InvalidInput` if no system can run it, or `UnknownSystem`, which also lists *problems*, those
        that the caller noticed before.
        """
        target, script = request.target, request.meta
        if isinstance(target, Pinned):
            return self.pinned(
                target.systems,
                script,
                request.array_tid,
                force=request.force,
                problems=problems,
                gives_arguments=request.gives_arguments,
                request=request,
            )
        if script is None:
            return Choice(())
        return self._kept_apart(self._eligible(request, target, script, problems))

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
            raise UnknownSystem([f"{_unknown_system(system, known)}." for system in unknown])

    def _kept_apart(self, choice: Choice) -> Choice:
        """Raise `InvalidInput` for several systems on a weak store: more than one might run the job."""
        if self.know_store.is_weak and len(choice.systems) > 1:
            raise InvalidInput(
                "this store does not enforce conditional writes, so a job can be offered to one system only, "
                f"but this one would go to {', '.join(choice.systems)}: name one of them as submit_to"
            )
        return choice

    # A pinned job ----------------------------------------------------------------------------

    def pinned(
        self,
        systems: tuple[str, ...],
        script: MetaScript | None,
        array: ArrayRange | None,
        *,
        force: bool = False,
        problems: Iterable[str] = (),
        gives_arguments: bool = False,
        request: JobRequest | None = None,
    ) -> Choice:
        """Return *systems*, with warnings; *script* is None unless it is a meta jobscript.

        With *gives_arguments*, an agent that would ignore these is refused. The options and header lines of
        *request*, a new job, are checked for the schedulers of the systems.
        Raises `InvalidInput` if one of them cannot run the job, and `UnknownSystem`.
        """
        known = self.registry.systems()
        warnings: list[str] = []
        for system in systems:
            self._require_usable_names(script, system)
            sign = known.get(system)
            if sign is not None:
                seen = self._seen(sign)
                if script is not None and seen is not None and not force:
                    self._require_able(script, array, system, seen.lease.offer)
                if gives_arguments and seen is not None and not seen.lease.offer.arguments:
                    raise InvalidInput(f"{system} cannot run the job: {_TOO_OLD}")
                if request is not None and seen is not None:
                    warnings.extend(self._checked_options(request, system, seen.lease.offer.scheduler))
                warnings.extend(_warn_if_away(system, seen))
            elif known and not force:
                raise UnknownSystem([*problems, _never_reported(system, known)])
            else:
                warnings.append(_no_agent_yet(system))
        return self._kept_apart(Choice(systems, tuple(warnings)))

    def _require_usable_names(self, script: MetaScript | None, system: str) -> None:
        """Raise `InvalidInput` for wrong configured names, even if the pinned system has no agent yet."""
        if script is None:
            return
        mapping = self.names.mapping(script.project, script.resource, system)
        if problems := [f"{system}: {problem}" for problem in mapping.problems()]:
            raise InvalidInput(problems)

    def _require_able(self, script: MetaScript, array: ArrayRange | None, system: str, offer: Offer) -> None:
        if reasons := self._reasons(script, array, system, offer, is_pinned=True, is_chosen=True):
            raise InvalidInput([f"{system} cannot run the job: {reason}" for reason in reasons])

    def _checked_options(self, request: JobRequest, system: str, scheduler: str) -> Iterator[str]:
        """Return warnings about header lines. Raises `InvalidInput` for options that are refused there."""
        refusals = () if request.force else self.options.problems(request, scheduler)
        if problems := [f"{system} would refuse the job: {refusal}" for refusal in refusals]:
            raise InvalidInput(problems)
        return (f"{system}: {warning}" for warning in self.options.warnings(request, scheduler))

    # A job for any eligible system -----------------------------------------------------------

    def _eligible(
        self, request: JobRequest, target: AnySystem, script: MetaScript, problems: Iterable[str]
    ) -> Choice:
        known = self.registry.systems()
        unknown = [system for system in target.only if system not in known and system not in target.without]
        if unknown and not request.force:
            raise UnknownSystem([*problems, *(_never_reported(system, known) for system in unknown)])
        refusals: dict[str, str] = {}
        warnings = [_no_agent_yet(system) for system in unknown]
        systems = list(unknown)
        for system, sign in sorted(known.items()):
            seen = self._seen(sign) if target.allows(system) else None
            reason = self._why_not(target, script, request.array_tid, system, seen)
            if not reason and request.gives_arguments and seen and not seen.lease.offer.arguments:
                reason = _TOO_OLD
            if reason:
                refusals[system] = reason
            else:
                systems.append(system)
                warnings.extend(_warn_if_away(system, seen))
        if not systems:
            raise InvalidInput(_nowhere(refusals))
        passed_over = [f"Not offered to {system}: {reason}." for system, reason in refusals.items()]
        return Choice(tuple(systems), (f"Offered to {', '.join(systems)}.", *passed_over, *warnings))

    def reasons_against_others(
        self, script: MetaScript, array: ArrayRange | None, invited: Iterable[str]
    ) -> dict[str, str]:
        """Return why each known system that is not *invited* cannot run a job; empty text if it can.

        Costs one LIST, and one GET per such system.
        """
        known, here = self.registry.systems(), set(invited)
        return {
            system: self._why_not(AnySystem(), script, array, system, self._seen(sign))
            for system, sign in sorted(known.items())
            if system not in here
        }

    def _why_not(
        self,
        target: AnySystem,
        script: MetaScript,
        array: ArrayRange | None,
        system: str,
        seen: SeenLease | None,
    ) -> str:
        if not target.allows(system):
            return "excluded for this job" if system in target.without else "not allowed for this job"
        if seen is None:
            return "its agent does not report what it offers"
        is_chosen = system in target.only
        if seen.age_s > GIVEN_UP_AFTER_S and not is_chosen:
            return f"its agent has not reported for {span(seen.age_s)}"
        reasons = self._reasons(script, array, system, seen.lease.offer, is_pinned=False, is_chosen=is_chosen)
        return "; ".join(reasons)

    def _reasons(
        self,
        script: MetaScript,
        array: ArrayRange | None,
        system: str,
        offer: Offer,
        *,
        is_pinned: bool,
        is_chosen: bool,
    ) -> tuple[str, ...]:
        mapping = self.names.mapping(script.project, script.resource, system)
        if problems := tuple(mapping.problems()):
            return problems
        return why_not(offer, script, mapping, array, is_pinned=is_pinned, is_chosen=is_chosen)

    def _seen(self, sign: SystemSign) -> SeenLease | None:
        seen = self.registry.lease(sign)
        if seen is not None:
            self.know_store.note_check(seen.lease)
        return seen


def _warn_if_away(system: str, seen: SeenLease | None) -> Iterator[str]:
    if seen is None or seen.agent_state is AgentState.STOPPED:
        yield f"The agent of {system} was stopped: the job waits until it is started."
    elif seen.agent_state is AgentState.AWAY:
        yield f"The agent of {system} has not reported for {span(seen.age_s)}: the job waits until it does."


def _no_agent_yet(system: str) -> str:
    return f"No agent ever reported as {system}: the job waits until one does."


def _never_reported(system: str, known: Mapping[str, SystemSign]) -> SystemNeverReported:
    return SystemNeverReported(f"{_unknown_system(system, known)}.")


def _unknown_system(system: str, known: Mapping[str, SystemSign]) -> str:
    these = f"known: {', '.join(sorted(known))}" if known else "no agent ever reported"
    return f'unknown system "{system}" ({these})'


def _nowhere(refusals: Mapping[str, str]) -> list[str]:
    if not refusals:
        return [NoTargetSystem("no agent ever reported: start one, or name a system")]
    return ["no system can run the job", *(f"{system}: {reason}" for system, reason in refusals.items())]
