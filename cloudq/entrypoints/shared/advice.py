"""Advice in words of the command line, which errors lack: programs that use the library read them, too."""

from __future__ import annotations

from collections.abc import Mapping

from cloudq.domain import errors

ADVICE: Mapping[type, str] = {
    errors.NoTargetSystem: "; pass --submit_to",
    errors.SystemNeverReported: " Use --force to queue the job anyway.",
    errors.VariableBeforeCommand: " (--env)",
    errors.BucketNeedsProfile: " (--cs_profile)",
    errors.ArchiveKeptPacked: " or use --unlimited",
    errors.NoTaskNamed: " Use --tid.",
    errors.RootRefused: " Or pass --allow_root.",
    errors.ClaimMissing: "; run cloudqcli doctor",
    errors.JobNotFinal: " Cancel it first: cloudqcli cancel --id {error.job_id}",
    errors.JobNotPutAway: " Use --force if it will not come back.",
    errors.HolderReported: ", or use --force: the job may run twice.",
    errors.MaybeSubmitted: "\nLook for it with: cloudqcli list; once it has ended: cloudqcli history",
    errors.HomeInDoubt: (
        "\nTo confirm this home: cloudqd --confirm. To give a copied home a new identity: cloudqd --new-home"
    ),
    errors.SchedulerUnfit: "; 'cloudqcli doctor' probes them again.",
    errors.ClusterIncomplete: " To delete it: cloudqaws delete --name {error.name}",
    errors.ClusterNotCreated: (
        " 'cloudqaws create' with the same options replaces what failed; "
        "'cloudqaws delete --name {error.name}' removes everything."
    ),
    errors.ClusterNotDeleted: ", then run 'cloudqaws delete --name {error.name}' again.",
}
"""What follows the text of an error or problem of exactly this class; it may use the fields of the error."""


def advised(error: BaseException | str) -> str:
    """Return the text of *error*, with the advice for it or for each of its problems."""
    if isinstance(error, errors.UsageProblem) and type(error) not in ADVICE:
        return "\n".join(map(advised, error.problems))
    if isinstance(error, errors.StagedOutInPart):
        return "\n".join([error.summary, *map(advised, error.problems)])
    text, advice = str(error), ADVICE.get(type(error), "")
    if advice.startswith((",", ";")):
        text = text.removesuffix(".")
    return text + advice.format(error=error)
