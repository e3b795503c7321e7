"""The version of this cloudq."""

from __future__ import annotations

VERSION = "2.0.0.dev0"
