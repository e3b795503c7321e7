"""Provide ids in sequence, so that a run can be repeated."""

from __future__ import annotations

from attrs import define


@define
class SerialIds:
    """The port `IdSource`, counting up."""

    count: int = 0

    def job_id(self) -> str:
        self.count += 1
        return f"{self.count:08x}"

    def nonce(self) -> str:
        self.count += 1
        return f"nonce-{self.count}"
