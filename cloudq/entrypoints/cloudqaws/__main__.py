"""``python -m cloudq.entrypoints.cloudqaws``, for use when the command itself is not on the path."""

from __future__ import annotations

from cloudq.entrypoints.cloudqaws import main

if __name__ == "__main__":
    main(prog_name="cloudqaws")
