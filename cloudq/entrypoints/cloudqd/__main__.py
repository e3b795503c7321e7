"""``python -m cloudq.entrypoints.cloudqd``, which starts a detached agent."""

from __future__ import annotations

from cloudq.entrypoints.cloudqd import main

if __name__ == "__main__":
    main(prog_name="cloudqd")
