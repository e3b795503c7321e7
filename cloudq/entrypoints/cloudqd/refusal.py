"""What keeps an agent from being started."""

from __future__ import annotations

from cloudq.domain.errors import CloudqError


class AgentRunsAlready(CloudqError):
    """An agent of this home runs on this host already."""

    exit_code = 14


class AgentEndedAtOnce(CloudqError):
    """An agent that was started in the background has ended."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
