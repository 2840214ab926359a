"""Serving at an address: bound before anything is announced, with a token where others can reach it."""

from __future__ import annotations

import errno
import ipaddress
import platform
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import uvicorn
from starlette.types import ASGIApp

from cifar_tune.dashboard.guard import TOKEN_PARAMETER, Guard
from cifar_tune.errors import ServingError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
GOODBYE_SECONDS = 1
"""That open connections are waited for at the end."""


@dataclass(frozen=True)
class Place:
    """Where to serve. hosts: names that requests may be addressed to. token: None on the loopback interface."""

    listener: socket.socket
    hosts: frozenset[str]
    token: str | None
    url: str


def open_place(host: str, port: int) -> Place:
    """Binds the address, and makes a token unless only this machine can reach it.

    Raises:
        ServingError: the port is in use or may not be bound, or the host is not this machine's.
    """
    listener = _bound(host, port)
    address, bound_port = listener.getsockname()[:2]
    if ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        url = f"http://{_in_url(host)}:{bound_port}/"
        return Place(listener, LOOPBACK_NAMES | {host.lower(), address}, None, url)
    token = secrets.token_urlsafe(24)
    named = platform.node() if ipaddress.ip_address(address).is_unspecified else host
    url = f"http://{_in_url(named)}:{bound_port}/?{TOKEN_PARAMETER}={token}"
    return Place(listener, LOOPBACK_NAMES | {host.lower(), *_own_names()}, token, url)


def serve(place: Place, app: ASGIApp, *, announce: Callable[[], None], warm: Callable[[], object]) -> None:
    """Serves until Ctrl-C; announces once the address answers. warm: what the first visitor would wait for."""
    port = place.listener.getsockname()[1]
    guarded = Guard(app, hosts=place.hosts, token=place.token, cookie=f"cifar_tune_{port}")
    config = uvicorn.Config(
        guarded,
        lifespan="off",
        ws="none",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )
    threading.Thread(target=warm, daemon=True).start()
    place.listener.listen()
    announce()
    uvicorn.Server(config).run(sockets=[place.listener])


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ServingError(f"--host {host}: is not a name or address of this machine ({error})") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ServingError(_why_not_bound(host, port, error)) from error
    return listener


def _why_not_bound(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            hint = f"choose another, such as --port {port + 1}, or --port 0 for any that is free"
            return f"port {port} of {host} is in use by another program, perhaps another dashboard; {hint}"
        case errno.EACCES:
            return f"port {port} of {host} may not be opened by this user; ports from 1024 on may: --port 8891"
        case errno.EADDRNOTAVAIL:
            return f"--host {host}: is not an address of this machine; 0.0.0.0 serves at all that it has"
    return f"{host}, port {port}: cannot be bound: {error.strerror}"


def _own_names() -> frozenset[str]:
    """Names and addresses by which other machines may call this one, in lower case."""
    addresses = [one.address.partition("%")[0] for all_of in psutil.net_if_addrs().values() for one in all_of]
    return frozenset(name.lower() for name in (platform.node(), socket.getfqdn(), *addresses))


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
