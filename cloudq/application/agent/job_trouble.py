"""One job's trouble is noted on that job and never stops the cycle (design section 6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from attrs import define, field

from cloudq.application.agent.held_job import HeldJob, Invitation, Retried
from cloudq.domain.errors import CloudqError, LeaseLost, StoreUnavailable
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock

LONGEST_S = 600.0
LONGEST_FOR_THE_STORE_S = 30.0
"""A store that was down answers all at once again: nobody's job should wait much longer."""


class AgentLog(Protocol):
    """Where an agent tells what it does: event first, then what it is about."""

    def info(self, event: str, **about: object) -> object: ...
    def warning(self, event: str, **about: object) -> object: ...
    def error(self, event: str, **about: object) -> object: ...
    def exception(self, event: str, **about: object) -> object: ...


@define
class JobTrouble:
    """Contains errors of single jobs: noted, logged once, tried again later and later."""

    log: AgentLog
    clock: Clock
    _told: dict[ClaimTag, str] = field(factory=dict, init=False)

    @contextmanager
    def of(self, held: HeldJob) -> Iterator[None]:
        """Note what goes wrong with *held* and leave it alone for a while."""
        try:
            yield
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 (a bug in one job's way must not stop the others)
            self._tell(held.tag, error)
            self._leave_alone(held, error)

    @contextmanager
    def of_logs(self, held: HeldJob) -> Iterator[None]:
        """Note what goes wrong with logs that still grow; nothing else of the job waits for them."""
        try:
            yield
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001
            self._tell(held.tag, error)
            self._leave_alone(held.log_trouble, error)

    @contextmanager
    def of_invitation(self, invitation: Invitation) -> Iterator[None]:
        """Note what goes wrong with a job that is not held yet."""
        try:
            yield
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001
            self._tell(invitation.tag, error)
            self._leave_alone(invitation, error)

    @contextmanager
    def of_claim(self, tag: ClaimTag) -> Iterator[None]:
        """Note what goes wrong with a claim that is being let go of; it is tried every cycle."""
        try:
            yield
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001
            self._tell(tag, error)

    def forget(self, tag: ClaimTag) -> None:
        """The job is gone."""
        self._told.pop(tag, None)

    def _leave_alone(self, retried: Retried, error: Exception) -> None:
        longest_s = LONGEST_FOR_THE_STORE_S if isinstance(error, StoreUnavailable) else LONGEST_S
        retried.back_off(self.clock.elapsed(), str(error), longest_s=longest_s)

    def _tell(self, tag: ClaimTag, error: Exception) -> None:
        words = f"{type(error).__name__}: {error}"
        if self._told.get(tag) == words:
            return
        self._told[tag] = words
        if isinstance(error, CloudqError):
            self.log.warning("job has trouble", job=str(tag), error=str(error))
        else:
            self.log.error("job met a defect of cloudq", job=str(tag), error=words, exc_info=error)
