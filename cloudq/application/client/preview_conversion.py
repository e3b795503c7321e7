"""Show a meta jobscript as it would be converted and submitted on a system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from cloudq.application.client.check_submission import parse_array, read_script
from cloudq.domain.errors import InvalidInput, SubmitRefused
from cloudq.domain.names import ClaimTag, checked_system
from cloudq.domain.problems import Problems
from cloudq.domain.scripts.local_script import LocalScript, convert
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.submit_options import join_options, split_options
from cloudq.domain.scripts.system_mapping import NameTables
from cloudq.domain.scripts.system_profile import SystemProfile
from cloudq.ports.batch_scheduler import Submission, SubmitPlan

_NO_CLAIM = ClaimTag("00000000", 1)
_NOWHERE = Path()


@frozen
class Preview:
    """The script to which a meta jobscript would be converted, as text for people to read."""

    text: str
    warnings: tuple[str, ...] = ()


@frozen
class PreviewConversion:
    """Convert a meta jobscript as the agent of a system would; send no request."""

    names: NameTables
    profile_of: Callable[[str, str], SystemProfile]
    """Returns the profile of a system; the second argument is the profile's name, if the user chose one.

    Raises `ConfigProblem` if no profile has this name.
    """
    plan: Callable[[str, Submission], SubmitPlan]
    """Returns the submit command of a kind of scheduler, which need not be on this machine."""

    def __call__(
        self,
        script: Path,
        system: str,
        *,
        profile: str = "",
        submit_opt: str = "",
        array_tid: str | None = None,
    ) -> Preview:
        """Return the converted script and its submit command, as a user of *system* would type it.

        Raises `InvalidInput` with all problems, also those for which the agent would refuse the job, and
        `ConfigProblem` if the system's profile is not known.
        """
        problems = Problems()
        meta = problems.collect(_read_meta, script)
        array = problems.collect(parse_array, array_tid)
        options = problems.collect(split_options, submit_opt)
        name = problems.collect(checked_system, system.lower())
        if problems or meta is None or name is None or options is None:
            raise problems.error()
        chosen = self.profile_of(name, profile)
        local = convert(meta, chosen, self.names.mapping(meta.project, meta.resource, name), array)
        text = _text(local, self._command(chosen.scheduler, local, options))
        pinned = f"The script sets run_on: {meta.run_on}, so it would not run on {name}."
        elsewhere = (pinned,) if meta.run_on not in {"", name} else ()
        return Preview(text, (*meta.warnings, *elsewhere))

    def _command(self, scheduler: str, local: LocalScript, options: tuple[str, ...]) -> str:
        submission = Submission(
            tag=_NO_CLAIM,
            job_shell=_NOWHERE,
            work_dir=_NOWHERE,
            control_dir=_NOWHERE,
            options=(*local.options, *options),
            array=local.array,
        )
        try:
            return join_options((*self.plan(scheduler, submission).typed, local.name))
        except SubmitRefused as refusal:
            raise InvalidInput(str(refusal)) from refusal


def _read_meta(path: Path) -> MetaScript:
    script = read_script(path)
    return MetaScript.parse(script.name, script.body)


def _text(local: LocalScript, command: str) -> str:
    lines = [
        f"submit command  {command}",
        *(f"environment     {name}={value}" for name, value in local.environment.items()),
        *(f"image           CONTAINER_IMG{n} from {url}" for n, url in enumerate(local.images)),
        *(f"before it       {line}" for line in local.preamble),
        f"interpreter     {local.interpreter}",
        f"local script    {local.name}",
    ]
    body = local.body.decode(errors="replace")
    return "\n".join([*lines, "", body if body.endswith("\n") else body + "\n"])
