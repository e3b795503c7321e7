"""Find multipart uploads that were never completed: they cost storage, and no object listing shows them."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from cloudq.application.doctor.examine import Check
from cloudq.application.doctor.examine_store import RIGHTS
from cloudq.domain.errors import StoreRefused
from cloudq.domain.finding import Finding, Level, Remedy
from cloudq.ports.bucket_survey import JobSurveyor

UPLOADS = "uploads"
ORPHAN_AFTER_S = 7 * 86_400.0
"""An upload that has been unfinished for longer counts as abandoned."""

_RULE = "set a lifecycle rule on the bucket that aborts incomplete multipart uploads after 7 days"


@frozen
class ExamineUploads:
    """Look for old unfinished uploads of jobs' files; with *collect*, abort them."""

    surveyor: JobSurveyor
    collect: bool = False

    def checks(self) -> tuple[Check, ...]:
        """Return the one check."""
        return (Check(UPLOADS, self._ask, needs=RIGHTS),)

    def _ask(self) -> Iterator[Finding]:
        try:
            old = self.surveyor.unfinished_uploads(ORPHAN_AFTER_S)
        except StoreRefused as error:
            yield Finding(Level.WARNING, UPLOADS, f"unfinished uploads could not be read: {error}", _RULE)
            return
        if not old:
            yield Finding(Level.OK, UPLOADS, "no upload has been unfinished for more than 7 days")
            return
        what = f"{len(old)} unfinished for more than 7 days, such as {old[0].key}"
        if not self.collect:
            yield Finding(Level.WARNING, UPLOADS, what, f"{_RULE}, or collect them", Remedy.COLLECT)
            return
        for upload in old:
            self.surveyor.abort_upload(upload)
        yield Finding(Level.OK, UPLOADS, f"{what}; aborted")
