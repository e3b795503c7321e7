"""Provide a store whose conditions do not work in one of several ways."""

from __future__ import annotations

from attrs import define

from cloudq.adapters.object_stores.wrappers.passing_on import PassingOn
from cloudq.domain.errors import PreconditionFailed
from cloudq.ports.object_store import ObjectStore

CREATE, REPLACE = "put_if_absent", "put_if_match"


@define
class WeakStore(PassingOn):
    """A store that passes requests on to *inner*; conditions of *ignored* writes have no effect."""

    inner: ObjectStore
    ignored: tuple[str, ...] = (CREATE, REPLACE)
    refused: tuple[str, ...] = ()
    """The writes that the store always refuses."""

    def put_if_absent(self, key: str, body: bytes) -> str:
        if CREATE in self.refused:
            raise PreconditionFailed(key)
        return self.inner.put(key, body) if CREATE in self.ignored else self.inner.put_if_absent(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        if REPLACE in self.refused:
            raise PreconditionFailed(key)
        if REPLACE in self.ignored:
            return self.inner.put(key, body)
        return self.inner.put_if_match(key, body, etag)
