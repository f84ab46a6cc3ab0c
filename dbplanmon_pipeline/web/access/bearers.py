"""Tokens that programs send with each request, and how often somebody may send a wrong one."""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports.access import AccessToken
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.services.grant_access import token_of
from dbplanmon_pipeline.web.access.attempts import Attempts
from dbplanmon_pipeline.web.context import WebContext

AT_ONCE = 4
"""So many tokens nobody knows yet are looked up at a time: a thousand at once must not all get through."""

MOST_KNOWN = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    line: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Bearers:
    """Looks tokens up, for the event loop only.

    Wrong ones are counted as those of the login are. A token that opened something before is looked up even where its
    address has used up its attempts, so that somebody who guesses behind the same proxy, or a program with an old
    token, keeps no other program out. Of such tokens only the digest is remembered.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._attempts = Attempts()
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def look_up(self, secret: str, address: str) -> AccessToken | Refusal:
        """Whose token this is."""
        digest = hashlib.sha256(secret.encode(errors="replace")).digest()
        if digest in self._known:
            return await self._found(secret, digest, address)
        async with self._turns:
            # Others of the same address may have failed while this one waited.
            if digest not in self._known and (wait := self._attempts.wait(address, self._context.clock())):
                line = f"too many wrong tokens; try again in {wait} seconds"
                return Refusal(429, line, {"Retry-After": str(wait)})
            return await self._found(secret, digest, address)

    async def _found(self, secret: str, digest: bytes, address: str) -> AccessToken | Refusal:
        now = self._context.clock()
        try:
            token = await run_in_threadpool(token_of, self._context.session.store, secret, now)
        except StoreError as error:
            return Refusal(503, one_line(str(error)), {"Retry-After": "10"})
        if token is not None:
            self._remember(digest)
            return token
        self._known.pop(digest, None)
        self._attempts.count(address, now)
        _log.warning("a token opened nothing", extra={"event": "token_refused", "address": address})
        if self._attempts.wait(address, now):
            _log.warning("too many wrong tokens", extra={"event": "token_limited", "address": address})
        line = "this token opens nothing: it was never made, was taken back, or has expired"
        return Refusal(401, line, {"WWW-Authenticate": 'Bearer realm="dbplanmon"'})

    def _remember(self, digest: bytes) -> None:
        self._known[digest] = None
        self._known.move_to_end(digest)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
