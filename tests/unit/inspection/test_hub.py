"""Pushing to a hub: a small one of our own on this machine, which speaks the protocol of commits and large files."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from cifar_tune.cli.export import main
from cifar_tune.errors import ExportError
from cifar_tune.inspection.hub import check_hub, push

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=.*:DeprecationWarning")
"""Of huggingface_hub, which calls httpx by an old name where it uploads large files."""

REPOSITORY = "someone/model"
TOKEN = "hf_none"


class Hub(ThreadingHTTPServer):
    """Keeps what was committed. refuses: the part of its work that it answers with 403, or the card with 400."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.refuses = ""
        self.repositories: list[str] = []
        self.large: dict[str, bytes] = {}
        self.commits: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}

    def commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            match line["key"], line["value"]:
                case "header", header:
                    self.commits.append(header)
                case "file", file:
                    assert file["encoding"] == "base64"
                    self.files[file["path"]] = base64.b64decode(file["content"])
                case "lfsFile", file:
                    self.files[file["path"]] = self.large[file["oid"]]
                    assert len(self.large[file["oid"]]) == file["size"]


class Answers(BaseHTTPRequestHandler):
    """The hub's interface as far as an upload needs it."""

    server: Hub

    def do_POST(self) -> None:
        content = self.content()
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer(401)
        if self.server.refuses and self.server.refuses in self.path:
            card = {"errors": [{"message": "pipeline_tag is none"}], "warnings": []}
            return self.answer(400, card) if "yaml" in self.path else self.answer(403)
        model = f"/api/models/{REPOSITORY}"
        if self.path == "/api/repos/create":
            asked = json.loads(content)
            self.server.repositories.append(f"{asked['organization']}/{asked['name']}")
            return self.answer(200, {"url": f"{self.server.address}/{REPOSITORY}"})
        if self.path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if self.path == f"{model}/preupload/main":
            modes = [
                {"path": one["path"], "uploadMode": "lfs" if one["path"].endswith("safetensors") else "regular"}
                | {"shouldIgnore": False}
                for one in json.loads(content)["files"]
            ]
            return self.answer(200, {"files": modes})
        if self.path == f"/{REPOSITORY}.git/info/lfs/objects/batch":
            objects = [
                one | {"actions": {"upload": {"href": f"{self.server.address}/large/{one['oid']}"}}}
                for one in json.loads(content)["objects"]
            ]
            return self.answer(200, {"transfer": "basic", "objects": objects})
        if self.path == f"{model}/commit/main":
            self.server.commit([json.loads(line) for line in content.splitlines()])
            address = f"{self.server.address}/{REPOSITORY}/commit/0123"
            return self.answer(200, {"commitUrl": address, "commitOid": "0123"})
        return self.answer(404)

    def do_PUT(self) -> None:
        content = self.content()
        name = self.path.removeprefix("/large/")
        assert hashlib.sha256(content).hexdigest() == name
        self.server.large[name] = content
        self.answer(200)

    def content(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, content: object = None) -> None:
        text = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that large files are put to as git-lfs does it, and that knows the user."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to push, by a user who has a token."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\1" * 1000)
    (tmp_path / "README.md").write_text("---\ntags: [x]\n---\n")
    return tmp_path


def test_what_export_wrote_is_on_the_hub_byte_by_byte_after_one_command(
    hub: Hub, checkpoints: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "digits"
    assert main([str(checkpoints), "--output", str(folder), "--push-to-hub", REPOSITORY]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{hub.address}/{REPOSITORY}"
    assert hub.repositories == [REPOSITORY]
    assert [one["summary"] for one in hub.commits] == ["digits, by cifar_tune"]
    assert hub.files == {file.name: file.read_bytes() for file in folder.iterdir()}
    assert {"README.md", "config.json", "trial.json", "model.safetensors"} == set(hub.files)
    assert list(hub.large.values()) == [(folder / "model.safetensors").read_bytes()]


def test_without_a_token_the_way_to_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ExportError, match=r"needs a token .*: run `hf auth login`, or set HF_TOKEN"):
        check_hub()


def test_offline_is_said_with_the_command_for_later_and_the_folder_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ExportError, match=rf"HF_HUB_OFFLINE is set; .* `hf upload {REPOSITORY} {folder}` does it"):
        push(folder, REPOSITORY)
    assert (folder / "config.json").exists()


def test_a_name_that_is_none_is_refused_before_any_connection(folder: Path) -> None:
    with pytest.raises(ExportError, match=r"was not pushed: the hub refuses a/b/c: "):
        push(folder, "a/b/c")


@pytest.mark.parametrize(
    ("work", "message"),
    [
        ("create", "the hub refuses someone/model: .*403"),
        ("yaml", r"the hub refuses someone/model: Invalid metadata in README\.md\.\n- pipeline_tag is none"),
        ("lfs", "the hub refuses someone/model: .*403"),
        ("commit", "the hub refuses someone/model: .*403"),
    ],
)
def test_a_refusal_at_any_step_is_said(hub: Hub, folder: Path, work: str, message: str) -> None:
    hub.refuses = work
    with pytest.raises(ExportError, match=f"was not pushed: {message}"):
        push(folder, REPOSITORY)
    assert hub.commits == []


def test_a_hub_that_is_not_there_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(ExportError, match=r"not pushed: the hub cannot be reached: .*; once that is mended, `hf up"):
        push(folder, REPOSITORY)
