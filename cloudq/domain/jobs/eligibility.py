"""The systems to which a meta job may be offered: the job's needs, compared with each system's offer."""

from __future__ import annotations

from collections.abc import Iterator

from cloudq.domain.jobs.lease import Offer, OfferedResource
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.option_template import OptionTemplate
from cloudq.domain.scripts.system_mapping import SystemMapping
from cloudq.domain.scripts.system_profile import NO_CONTAINERS, Limits, ResourceProfile, SystemProfile
from cloudq.domain.scripts.walltime import Walltime


def offer_of(profile: SystemProfile, *, unpinned: bool = True, handicap_s: float = 0.0) -> Offer:
    """Return the offer of an agent with *profile*."""
    limits = profile.limits
    return Offer(
        scheduler=profile.scheduler,
        unpinned=unpinned,
        handicap_s=handicap_s,
        meta=True,
        arguments=True,
        resources=tuple(_offered(name, resource, profile) for name, resource in profile.resources.items()),
        any_resource=profile.resource is not None,
        max_n=_most(profile.resource, limits.n_resource),
        walltime=profile.walltime is not None,
        max_walltime_s=limits.walltime.seconds if limits.walltime else None,
        array_lists=limits.array_lists,
        array_running=limits.array_running,
        containers=profile.container_runtime != NO_CONTAINERS,
    )


def _offered(name: str, resource: ResourceProfile, profile: SystemProfile) -> OfferedResource:
    template = resource.options or profile.resource
    return OfferedResource(name, _most(template, resource.max_n or profile.limits.n_resource))


def _most(template: OptionTemplate | None, limit: int | None) -> int | None:
    """Return *limit*; 1 if the template has no place for a number."""
    return 1 if template is not None and "n" not in template.fields else limit


def why_not(
    offer: Offer,
    script: MetaScript,
    mapping: SystemMapping,
    array: ArrayRange | None,
    *,
    is_pinned: bool,
    is_chosen: bool,
) -> tuple[str, ...]:
    """Return all reasons why a system cannot run *script*; none if it can.

    *is_pinned*: the job is for this system alone. *is_chosen*: the owner named the system, perhaps with
    others. A system that was not named must know the resource, because one that passes any name on to its
    scheduler may not have it.
    """
    if not offer.meta:
        return ("its agent is an older release without support for meta jobscripts",)
    reasons = [*_resource_reasons(offer, script, mapping, chosen=is_chosen), *_limit_reasons(offer, script)]
    if not is_pinned and not offer.unpinned:
        reasons.insert(0, "it takes only jobs submitted to it")
    limits = Limits(array_lists=offer.array_lists, array_running=offer.array_running)
    if problem := limits.array_problem(array):
        reasons.append(problem)
    return tuple(reasons)


def _limit_reasons(offer: Offer, script: MetaScript) -> Iterator[str]:
    most = Walltime(offer.max_walltime_s) if offer.max_walltime_s else None
    if most is not None and script.walltime is not None and script.walltime > most:
        yield f"walltime {script.walltime} is more than its {most}"
    if script.walltime is not None and not offer.walltime:
        yield "it has no option for a walltime"
    if script.container_imgs and not offer.containers:
        yield "it runs no containers"


def _resource_reasons(
    offer: Offer, script: MetaScript, mapping: SystemMapping, *, chosen: bool
) -> Iterator[str]:
    mapped = mapping.resource_options
    if mapped is not None:
        if _most(mapped, None) == 1 and script.n_resource > 1:
            yield f"it provides only one of resource {script.resource}"
        return
    name = mapping.resource or script.resource
    resource = next((offered for offered in offer.resources if offered.name == name), None)
    if resource is None and not (offer.any_resource and (chosen or mapping.resource)):
        there_are = ", ".join(sorted(offered.name for offered in offer.resources)) or "none"
        yield f"it has no resource {name!r} (known: {there_are})"
        return
    most = resource.max_n if resource is not None and resource.max_n is not None else offer.max_n
    if most is not None and script.n_resource > most:
        yield f"n_resource {script.n_resource} is more than its {most} of {name}"
