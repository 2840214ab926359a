from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from cifar_tune.dashboard.guard import HEADERS, Guard, host_name

TOKEN = "s3cret"


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"inside {Request(scope).url.path}")(scope, receive, send)


def client(token: str | None = None, base: str = "http://localhost:8891") -> TestClient:
    guard = Guard(inside, hosts=frozenset({"localhost", "127.0.0.1", "::1"}), token=token, cookie="c")
    return TestClient(guard, base_url=base, follow_redirects=False)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_only_get_and_head_are_answered(method: str) -> None:
    answer = client().request(method, "/api/state")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_get_and_head_pass() -> None:
    assert client().get("/x").text == "inside /x"
    assert client().head("/x").status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.com", "localhost.evil.com", "127.0.0.1.evil.com", "evil.com:8891", "", "[", "localhost@evil.com", "0.0.0.0"],
)
def test_a_foreign_host_is_refused(host: str) -> None:
    answer = client().get("/", headers={"host": host})
    assert answer.status_code == 400
    assert "not served" in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8891", "127.0.0.1:9000", "[::1]:8891"])
def test_this_machine_s_names_pass_at_any_port_for_a_tunnel_may_change_it(host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 200


def test_two_host_headers_are_refused() -> None:
    answer = client().get("/", headers=[("host", "localhost"), ("host", "evil.com")])
    assert answer.status_code == 400


def test_every_answer_has_the_security_headers_and_scripts_come_from_files_alone() -> None:
    for answer in (client().get("/"), client().post("/"), client().get("/", headers={"host": "evil.com"})):
        assert HEADERS.items() <= dict(answer.headers).items()
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["content-security-policy"].split(";"))
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"


def test_without_the_token_nothing_is_told() -> None:
    for path in ("/", "/api/state", "/plotly.js", "/?token=", "/?token=wrong", "/?token=s3cre", "/?token=s%C3%A9cret"):
        answer = client(TOKEN).get(path)
        assert answer.status_code == 401
        assert "inside" not in answer.text
    assert client(TOKEN).get("/", headers={"cookie": "c=wrong"}).status_code == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address() -> None:
    visitor = client(TOKEN)
    answer = visitor.get(f"/api/state?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "samesite=lax" in answer.headers["set-cookie"].lower()
    assert visitor.get("/api/state").text == "inside /api/state"


@pytest.mark.parametrize(
    ("header", "name"),
    [("A.B:1", "a.b"), ("[fe80::1]:1", "fe80::1"), ("a b", "a b"), ("[", ""), ("", ""), ("x@y", "y")],
)
def test_host_name_is_what_stands_before_the_port(header: str, name: str) -> None:
    assert host_name(header) == name
