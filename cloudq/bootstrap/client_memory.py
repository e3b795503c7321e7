"""Open the memory that a client keeps on its own machine; this needs neither the store nor its libraries."""

from __future__ import annotations

import platform

from cloudq.adapters.client_memory import FileClientMemory, memory_directory
from cloudq.config import Config
from cloudq.ports.client_memory import ClientMemory


def client_memory(config: Config) -> ClientMemory:
    """Return the memory for the store of *config*."""
    return FileClientMemory(memory_directory(config.home, config.store.in_words), platform.node())
