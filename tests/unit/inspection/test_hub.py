"""What can be said of the hub without one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from cifar_tune.errors import ExportError
from cifar_tune.inspection.hub import check_hub, push


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to push, by a user who has a token."""
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


class Refusing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def refusing_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_a_token_the_way_to_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ExportError, match=r"needs a token .*: run `hf auth login`, or set HF_TOKEN"):
        check_hub()


def test_offline_is_said_and_the_folder_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ExportError, match="was not pushed: HF_HUB_OFFLINE is set; it can be pushed later"):
        push(folder, "someone/model")
    assert (folder / "config.json").exists()


def test_a_name_that_is_none_is_refused_before_any_connection(folder: Path) -> None:
    with pytest.raises(ExportError, match=r"was not pushed: the hub refuses a/b/c: "):
        push(folder, "a/b/c")


@pytest.mark.usefixtures("refusing_hub")
def test_a_refusal_is_said(folder: Path) -> None:
    with pytest.raises(ExportError, match=r"was not pushed: the hub refuses someone/model: .*403"):
        push(folder, "someone/model")
