"""Note the errors of a job on that job, so that they never stop the cycle (design section 6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from attrs import define, field

from cloudq.application.agent.held_job import HeldJob, Retried
from cloudq.application.agent.holdings import Invitation
from cloudq.domain.errors import CloudqError, LeaseLost, StoreUnavailable
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock

LONGEST_S = 600.0
LONGEST_FOR_THE_STORE_S = 30.0
"""The longest pause after a store failure: once the store answers again, no job waits much longer."""


class AgentLog(Protocol):
    """The log of an agent: each call gives the event first, then what it is about."""

    def info(self, event: str, **about: object) -> object: ...
    def warning(self, event: str, **about: object) -> object: ...
    def error(self, event: str, **about: object) -> object: ...
    def exception(self, event: str, **about: object) -> object: ...


@define
class JobTrouble:
    """Contain the errors of single jobs: note them, log them once, and retry with back-off."""

    log: AgentLog
    clock: Clock
    _problems: dict[ClaimTag, str] = field(factory=dict, init=False)

    @contextmanager
    def of(self, held: HeldJob) -> Iterator[None]:
        """Note an error of *held* on the job, and back off."""
        try:
            yield
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 (a defect that affects one job must not stop the others)
            self._log_once(held.tag, error)
            self._leave_alone(held, error)

    @contextmanager
    def of_logs(self, held: HeldJob) -> Iterator[None]:
        """Note an error of uploading growing logs, and back off; nothing else of the job waits for them."""
        try:
            yield
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001
            self._log_once(held.tag, error)
            self._leave_alone(held.logs, error)

    @contextmanager
    def of_invitation(self, invitation: Invitation) -> Iterator[None]:
        """Note an error of a job that is not held yet, and back off."""
        try:
            yield
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001
            self._log_once(invitation.tag, error)
            self._leave_alone(invitation, error)

    @contextmanager
    def of_claim(self, tag: ClaimTag) -> Iterator[None]:
        """Log an error of work on a claim, such as one that is being given up, without a back-off."""
        try:
            yield
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001
            self._log_once(tag, error)

    def forget(self, tag: ClaimTag) -> None:
        """Forget the last error of a job that is gone."""
        self._problems.pop(tag, None)

    def _leave_alone(self, retried: Retried, error: Exception) -> None:
        longest_s = LONGEST_FOR_THE_STORE_S if isinstance(error, StoreUnavailable) else LONGEST_S
        retried.back_off(self.clock.elapsed(), str(error), longest_s=longest_s)

    def _log_once(self, tag: ClaimTag, error: Exception) -> None:
        words = f"{type(error).__name__}: {error}"
        if self._problems.get(tag) == words:
            return
        self._problems[tag] = words
        if isinstance(error, CloudqError):
            self.log.warning("job has trouble", job=str(tag), error=str(error))
        else:
            self.log.error("job met a defect of cloudq", job=str(tag), error=words, exc_info=error)
