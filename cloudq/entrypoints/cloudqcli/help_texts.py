"""Examples for the help pages of ``cloudqcli``, and words that users may type instead of its commands."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "": (
        "cloudqcli submit job.sh --submit_to abci",
        "cloudqcli list",
        "cloudqcli log 3f7e7681 --follow",
        "cloudqcli stageout 3f7e7681",
        "cloudqcli explain 3f7e7681",
    ),
    "init": (
        "cloudqcli init",
        "cloudqcli init --endpoint_url https://s3.example.com --bucket my-jobs --check",
        "cloudqcli init --bucket my-jobs --system abci --system_profile abci",
    ),
    "submit": (
        "cloudqcli submit job.sh a b --submit_to abci --submit_opt '-l h_rt=1:0:0'",
        "cloudqcli submit mjob.sh --input=data --input=config.toml --wait",
        "cloudqcli submit --submit_to abci --output model.pt --fetch -- python train.py",
        "cloudqcli submit train.sh --each-line params --label sweep=7 --submit_to abci",
        "cloudqcli submit --rerun 3f7e7681 --failed",
    ),
    "convert": (
        "cloudqcli convert --script mjob.sh --system abci",
        "cloudqcli convert --script mjob.sh --system kaede --profile slurm",
    ),
    "wait": (
        "cloudqcli wait last && cloudqcli stageout last",
        "cloudqcli wait 3f7e e210 --any --timeout 2h",
        "cloudqcli wait --label sweep=7",
    ),
    "stat": (
        "cloudqcli stat 3f7e7681",
        "cloudqcli stat 3f7e e210 --json",
    ),
    "explain": (
        "cloudqcli explain 3f7e7681",
        "cloudqcli explain 3f7e7681 --json",
    ),
    "list": (
        "cloudqcli list",
        "cloudqcli list --long",
        "cloudqcli list --system abci --state READY,RUN",
        "cloudqcli list --columns id,state,note --sort -submitted",
    ),
    "watch": (
        "cloudqcli watch",
        "cloudqcli watch --label sweep=7 --interval 30s",
    ),
    "history": (
        "cloudqcli history --last 20",
        "cloudqcli history --since 2h --state ERROR,TIMEOUT",
        "cloudqcli history --columns id,exit,ran --sort -ran",
    ),
    "log": (
        "cloudqcli log 3f7e7681 --follow",
        "cloudqcli log 3f7e7681 --error --tail 50",
        "cloudqcli log 3f7e7681 --tid 7",
        "cloudqcli log --agent abci",
    ),
    "cancel": (
        "cloudqcli cancel 3f7e7681",
        "cloudqcli cancel 3f7e7681 --tid 7",
        "cloudqcli cancel 3f7e7681 --wait",
        "cloudqcli cancel --label sweep=7 --state INIT,READY",
    ),
    "requeue": (
        "cloudqcli requeue 3f7e7681",
        "cloudqcli requeue 3f7e7681 --to my-cluster",
    ),
    "stageout": (
        "cloudqcli stageout 3f7e7681",
        "cloudqcli stageout 3f7e7681 --into results --only '*.csv' --only 'std*'",
        "cloudqcli stageout 3f7e7681 --cat result.txt",
    ),
    "delete": (
        "cloudqcli delete 3f7e7681",
        "cloudqcli delete --all",
        "cloudqcli delete --name 'test*'",
        "cloudqcli delete --agent abci",
    ),
    "agents": (
        "cloudqcli agents",
        "cloudqcli agents --long",
    ),
    "doctor": (
        "cloudqcli doctor",
        "cloudqcli doctor --deep",
        "cloudqcli doctor --collect",
    ),
    "completion": ("cloudqcli completion bash",),
}
"""Examples by command, as users type them; those of the program itself are under an empty name."""

MEANT: Mapping[str, str] = {
    "run": "submit", "sbatch": "submit", "qsub": "submit", "launch": "submit", "start": "submit",
    "rerun": "submit --rerun", "retry": "submit --rerun", "resubmit": "submit --rerun",
    "show": "stat", "status": "stat", "info": "stat", "describe": "stat", "state": "stat",
    "why": "explain", "debug": "explain", "diagnose": "explain",
    "ls": "list", "ps": "list", "queue": "list", "squeue": "list", "qstat": "list", "jobs": "list",
    "top": "watch", "sacct": "history", "qacct": "history", "past": "history", "finished": "history",
    "logs": "log", "tail": "log", "cat": "log", "output": "log", "follow": "log --follow",
    "kill": "cancel", "stop": "cancel", "abort": "cancel", "scancel": "cancel", "qdel": "cancel",
    "rm": "delete", "remove": "delete", "purge": "delete", "clean": "delete --all",
    "get": "stageout", "fetch": "stageout", "download": "stageout", "pull": "stageout", "results": "stageout",
    "systems": "agents", "nodes": "agents", "sinfo": "agents", "qhost": "agents", "hosts": "agents",
    "config": "init", "configure": "init", "setup": "init", "check": "doctor", "test": "doctor",
    "preview": "convert", "move": "requeue", "help": "--help", "version": "--version",
}  # fmt: skip
"""What to type instead of words that other programs have, or that people try."""
