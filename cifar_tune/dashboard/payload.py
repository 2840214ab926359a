"""Bodies of answers, compressed and tagged once for all who ask."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Callable
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

LEAST_COMPRESSED = 500
"""Bytes; smaller bodies gain nothing."""
LEVEL = 5
"""Of gzip: 1 MB of table in 25 ms, within 3 % of the size at level 9."""
MOST_KEPT = 64
"""Answers of one version: a viewer asks for about ten."""


class Payload:
    """A body with its entity tag."""

    def __init__(self, content: bytes, *, tag: str = "") -> None:
        """tag: names the content; by default its digest does."""
        self.content = content
        self.tag = f'"{tag or hashlib.blake2b(content, digest_size=12).hexdigest()}"'

    @cached_property
    def compressed(self) -> bytes:
        """The body in gzip."""
        return gzip.compress(self.content, LEVEL, mtime=0)


def respond(request: Request, payload: Payload, media_type: str) -> Response:
    """The payload, compressed where the browser takes that; 304 where it has it already."""
    headers = {"etag": payload.tag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if request.headers.get("if-none-match", "").removeprefix("W/") == payload.tag:
        return Response(status_code=304, headers=headers)
    takes_gzip = "gzip" in request.headers.get("accept-encoding", "")
    if not takes_gzip or len(payload.content) < LEAST_COMPRESSED:
        return Response(payload.content, headers=headers, media_type=media_type)
    return Response(payload.compressed, headers=headers | {"content-encoding": "gzip"}, media_type=media_type)


def as_json(value: object) -> Payload:
    """A JSON body; numbers that JSON does not have must be None."""
    return Payload(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())


class Answers:
    """Answers already computed for the newest version of the tables."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = ""
        self._known: dict[str, Payload] = {}

    def get(self, version: str, question: str, compute: Callable[[], Payload]) -> Payload:
        """The answer to a question at a version, computed by the first who asks."""
        with self._lock:
            if version != self._version or len(self._known) >= MOST_KEPT:
                self._version, self._known = version, {}
            known = self._known
            if question in known:
                return known[question]
        answer = compute()
        known[question] = answer
        return answer
