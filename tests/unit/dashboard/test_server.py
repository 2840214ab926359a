from __future__ import annotations

import platform
import re
import socket

import pytest

from cifar_tune.dashboard.server import open_place
from cifar_tune.errors import ServingError


def test_on_this_machine_alone_no_token_is_asked_for() -> None:
    place = open_place("127.0.0.1", 0)
    with place.listener:
        port = place.listener.getsockname()[1]
    assert (place.token, place.url) == (None, f"http://127.0.0.1:{port}/")
    assert place.hosts == {"localhost", "127.0.0.1", "::1"}


def test_elsewhere_a_new_token_is_part_of_the_address() -> None:
    places = [open_place("0.0.0.0", 0) for _ in range(2)]
    for place in places:
        place.listener.close()
        assert place.token is not None
        assert len(place.token) >= 32
        assert re.fullmatch(rf"http://{platform.node()}:\d+/\?token={place.token}", place.url)
        assert {platform.node().lower(), "127.0.0.1", "localhost"} <= place.hosts
    assert places[0].token != places[1].token


def test_a_port_in_use_is_named_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServingError, match=f"port {port} of 127.0.0.1 is in use .* such as --port {port + 1}"):
            open_place("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "--host 192.0.2.1: is not an address of this machine"),
        ("no-such-host.invalid", "--host no-such-host.invalid: is not a name or address of this machine"),
        ("a" * 70, "is not a name or address of this machine"),
    ],
)
def test_a_host_that_is_not_this_machine_s_is_refused(host: str, message: str) -> None:
    with pytest.raises(ServingError, match=message):
        open_place(host, 8891)
