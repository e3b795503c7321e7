"""``python -m cloudq.entrypoints.cloudqd``: how a detached agent is started."""

from __future__ import annotations

from cloudq.entrypoints.cloudqd import main

if __name__ == "__main__":
    main(prog_name="cloudqd")
