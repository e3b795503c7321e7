"""Check that the bucket's settings leave jobs alone (protocol 8.2)."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from cloudq.application.doctor.examine import Check
from cloudq.application.doctor.examine_store import RIGHTS
from cloudq.domain.finding import Finding, Level, Remedy
from cloudq.domain.stores.bucket_settings import BucketSettings, LifecycleRule, threatened
from cloudq.ports.bucket_survey import SettingsReader

SETTINGS = "bucket settings"

_ABORT = (
    'set a rule with AbortIncompleteMultipartUpload after 7 days for the prefix "jobs/": it removes what '
    "interrupted uploads leave behind"
)
_READ_RIGHTS = (
    "allow these keys s3:GetLifecycleConfiguration, s3:GetBucketObjectLockConfiguration, "
    "s3:GetBucketVersioning and s3:GetEncryptionConfiguration; or ask the bucket's owner"
)


@frozen
class ExamineSettings:
    """Check lifecycle rules, Object Lock, versioning and encryption; warn about what cannot be read."""

    reader: SettingsReader
    prefix: str = ""
    """The store's own prefix in the bucket."""

    def checks(self) -> tuple[Check, ...]:
        """Return one check with several findings."""
        return (Check(SETTINGS, self._ask, needs=RIGHTS),)

    def _ask(self) -> Iterator[Finding]:
        settings = self.reader.settings()
        for what, words in settings.unread.items():
            yield Finding(Level.WARNING, SETTINGS, f"{what} could not be read: {words}", _READ_RIGHTS)
        if "lifecycle rules" not in settings.unread:
            yield from self._rules(settings)
        if settings.object_lock:
            yield Finding(
                Level.WARNING,
                SETTINGS,
                f"Object Lock is on ({settings.object_lock}): deleted jobs and old records still cost money",
                "let a rule expire noncurrent versions once their retention is over, or use another bucket",
            )
        elif settings.is_versioned and "lifecycle rules" not in settings.unread:
            yield from _versions(settings)
        if "encryption" not in settings.unread:
            how = settings.encryption or "the default of the service"
            yield Finding(Level.OK, SETTINGS, f"encryption at rest: {how}")

    def _rules(self, settings: BucketSettings) -> Iterator[Finding]:
        threats = [finding for rule in settings.rules for finding in self._threat(rule)]
        yield from threats
        aborts = [rule for rule in settings.rules if rule.aborts_uploads and self._is_about_jobs(rule)]
        if not threats:
            well = "no lifecycle rule lets objects of jobs expire"
            yield Finding(Level.OK, SETTINGS, well, "" if aborts else _ABORT)
        elif not aborts:
            yield Finding(Level.WARNING, SETTINGS, "no lifecycle rule aborts unfinished uploads", _ABORT)

    def _threat(self, rule: LifecycleRule) -> Iterator[Finding]:
        places = ", ".join(threatened(rule, self.prefix))
        if not places:
            return
        some = "some objects" if rule.has_other_filters else "objects"
        if rule.expires:
            yield Finding(
                Level.WARNING,
                SETTINGS,
                f'lifecycle rule "{rule.name}" deletes {some} below {places} {rule.expires}: jobs that run '
                "or wait longer lose their records, and finished ones vanish",
                "limit the rule to other prefixes, and delete old jobs yourself",
                Remedy.DELETE,
            )
        if rule.archives:
            yield Finding(
                Level.WARNING,
                SETTINGS,
                f'lifecycle rule "{rule.name}" moves {some} below {places} to {rule.archives}: they '
                "cannot be read from there",
                "limit the rule to other prefixes",
            )

    def _is_about_jobs(self, rule: LifecycleRule) -> bool:
        return "jobs/" in threatened(rule, self.prefix, ("jobs/",))


def _versions(settings: BucketSettings) -> Iterator[Finding]:
    if any(rule.expires_old_versions for rule in settings.rules):
        return
    yield Finding(
        Level.WARNING,
        SETTINGS,
        "the bucket keeps old versions: every heartbeat adds one, and deleted jobs stay and cost money",
        "let a lifecycle rule expire noncurrent versions after some days",
    )
