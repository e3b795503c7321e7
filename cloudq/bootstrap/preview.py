"""Wire the preview of conversions, which needs no store and no scheduler."""

from __future__ import annotations

from cloudq.application.client.preview_conversion import PreviewConversion
from cloudq.bootstrap.profiles import profile_of
from cloudq.bootstrap.scheduler_kinds import SCHEDULER_KINDS
from cloudq.config import Config
from cloudq.domain.scripts.system_mapping import NameTables


def conversion_preview(config: Config) -> PreviewConversion:
    """Return the preview with the names and profiles of *config*."""
    return PreviewConversion(
        NameTables(config.projects, config.resources),
        lambda system, chosen: profile_of(config, system, chosen),
        lambda scheduler, submission: SCHEDULER_KINDS[scheduler].plan(submission),
    )
