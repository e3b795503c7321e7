"""Convert meta jobscripts, with the profile and the environment of the agent."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve, field, frozen

from cloudq.domain.errors import InvalidInput, SubmitRefused
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_shell import MetaSetting
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.local_script import LocalScript, convert
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.system_profile import SystemProfile


@frozen
class LocalScripts:
    """Convert meta jobscripts for one system."""

    system: str
    profile: SystemProfile
    environment: Mapping[str, str] = field(factory=lambda: MappingProxyType({}))
    """The environment variables that the commands called by meta jobs need."""

    def convert(self, job: Job, script: Jobscript) -> LocalScript:
        """Return the script as it runs here. Raises `SubmitRefused` with all reasons why it cannot run."""
        try:
            meta = MetaScript.parse(script.name, script.body)
            local = convert(meta, self.profile, job.mapping_of(self.system), job.array_tid)
        except InvalidInput as error:
            raise SubmitRefused("; ".join(error.problems)) from error
        return evolve(local, environment={**self.environment, **local.environment})

    def setting(self, local: LocalScript, tools_dir: str) -> MetaSetting:
        """Return the setting in which the script runs: environment, tools and images."""
        return MetaSetting(
            environment=local.environment,
            preamble=local.preamble,
            tools_dir=tools_dir,
            images=local.images,
        )
