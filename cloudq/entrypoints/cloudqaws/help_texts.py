"""Examples for the help pages of ``cloudqaws``, and words that users may type instead of its commands."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "": (
        "cloudqaws create --name my-cluster --keypair my-key --dry_run",
        "cloudqaws create --name my-cluster --keypair my-key",
        "cloudqaws list",
        "cloudqaws delete --name my-cluster",
    ),
    "create": (
        "cloudqaws create --name my-cluster --keypair my-key --dry_run",
        "cloudqaws create --name my-cluster --keypair my-key --cs_bucket my-jobs",
    ),
    "list": (
        "cloudqaws list",
        "cloudqaws list --json",
    ),
    "delete": ("cloudqaws delete --name my-cluster",),
    "preset": ("cloudqaws preset --preset_name default",),
}
"""Examples by command, as users type them; those of the program itself are under an empty name."""

MEANT: Mapping[str, str] = {
    "ls": "list", "show": "list", "status": "list", "ps": "list", "clusters": "list", "describe": "list",
    "rm": "delete", "remove": "delete", "destroy": "delete", "down": "delete", "kill": "delete",
    "up": "create", "new": "create", "start": "create", "launch": "create", "build": "create",
    "copy": "preset", "presets": "preset", "help": "--help", "version": "--version",
}  # fmt: skip
"""What to type instead of words that other programs have, or that people try."""
