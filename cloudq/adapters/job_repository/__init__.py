"""Jobs and systems over any object store: the only package that handles keys and records as bytes."""

from __future__ import annotations

from cloudq.adapters.job_repository.files import BucketJobFiles
from cloudq.adapters.job_repository.jobs import BucketJobRepository
from cloudq.adapters.job_repository.queue import BucketJobQueue
from cloudq.adapters.job_repository.surveyor import BucketSurveyor
from cloudq.adapters.job_repository.systems import BucketSystemRegistry

__all__ = [
    "BucketJobFiles",
    "BucketJobQueue",
    "BucketJobRepository",
    "BucketSurveyor",
    "BucketSystemRegistry",
]
