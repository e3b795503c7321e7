"""Use cloudq from a program: submit a job, wait for it, and print its output.

    python examples/library.py [SYSTEM]

The store is the one of ~/.cloudq/config.toml and the CLOUDQ_* variables. Without either, it is a directory on
this machine, where ``cloudqd --daemon`` must run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cloudq import Client, CloudqError, JobState

SCRIPT = Path(__file__).with_name("ljob_hello.local.sh")


def main(system: str) -> int:
    """Submit, wait and print; return exit status 0 if the job was DONE."""
    with Client.connect() as client:
        submitted = client.submit(SCRIPT, submit_to=system)
        for warning in submitted.warnings:
            print(warning, file=sys.stderr)
        job = client.wait(submitted.job.id, timeout=600, poll=0.5)
        print(f"Job {job.id} ended on {job.run_system}: {job.state.value}, exit code {job.exit_code}")
        for piece in client.log(job.id):
            print(piece.decode(errors="replace"), end="")
    return 0 if job.state is JobState.DONE else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:] or ["local"]))
    except CloudqError as error:
        sys.exit(f"library.py: {error}")
