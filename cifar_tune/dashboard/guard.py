"""Who may read: only GET and HEAD, only under this machine's names, and from elsewhere only with the token."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD")
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""plotly.js sets styles in the page, therefore 'unsafe-inline' for styles; scripts come from files alone."""
TOKEN_PARAMETER = "token"


class Guard:
    """An ASGI application in front of another: refuses, or passes on; every answer has the security headers."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], token: str | None, cookie: str) -> None:
        """hosts: names, in lower case, that a request may be addressed to. cookie: holds the token after a visit."""
        self._app = app
        self._hosts = hosts
        self._token = token
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self._refusal(Request(scope)) or self._app
        await answer(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        if request.method not in METHODS:
            text = f"{request.method} is not allowed: this page can be read, nothing else\n"
            return PlainTextResponse(text, 405, {"allow": ", ".join(METHODS)})
        named = request.headers.getlist("host")
        if len(named) != 1 or host_name(named[0]) not in self._hosts:
            return PlainTextResponse("this host name is not served; open the address that the dashboard printed\n", 400)
        if self._token is None:
            return None
        given = request.query_params.get(TOKEN_PARAMETER)
        if given is not None and self._is_token(given):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="lax")
            return answer
        if self._is_token(request.cookies.get(self._cookie, "")):
            return None
        return PlainTextResponse("this dashboard asks for a token: open the address that it printed\n", 401)

    def _is_token(self, text: str) -> bool:
        assert self._token is not None
        return hmac.compare_digest(text.encode(), self._token.encode())


def host_name(host: str) -> str:
    """The name in a Host header, in lower case, without port; "" if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
