"""Archives from a real server on this machine: fetched, continued, checked, unpacked whole."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.downloads import Archive, fetch

FILES = {"set/one": b"1" * 5000, "set/deeper/two": bytes(range(256)) * 20}


def packed() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


PACKED = packed()


class Publisher(BaseHTTPRequestHandler):
    """Serves the archive at /set.tar.gz, also from the middle; breaks off where `/broken` stands before."""

    ranges: list[str | None]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        type(self).ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if self.path.endswith("/missing.tar.gz"):
            self.send_error(404)
        elif start >= len(PACKED):
            self.send_error(416)
        else:
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(PACKED) - start))
            self.end_headers()
            self.wfile.write(PACKED[start : 100 if self.path.startswith("/broken") else None])

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def archive() -> Iterator[Archive]:
    Publisher.ranges = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Publisher) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/set.tar.gz"
        yield Archive(url, hashlib.md5(PACKED).hexdigest(), bytes=len(PACKED), unpacked_bytes=11_000)
        server.shutdown()
        thread.join()


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def assert_unpacked(root: Path) -> None:
    for name, content in FILES.items():
        assert (root / name).read_bytes() == content


def test_an_archive_is_unpacked_and_nothing_else_is_left(archive: Archive, tmp_path: Path) -> None:
    fetch("mine", archive, tmp_path / "data")
    assert_unpacked(tmp_path / "data")
    assert names(tmp_path / "data") == ["set"]


def test_a_corrupt_file_is_replaced_and_others_are_left_alone(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "one").write_bytes(b"broken")
    (tmp_path / "set" / "mine").write_bytes(b"kept")
    fetch("mine", archive, tmp_path)
    assert_unpacked(tmp_path)
    assert (tmp_path / "set" / "mine").read_bytes() == b"kept"


def test_a_broken_download_says_how_to_go_on_and_goes_on(archive: Archive, tmp_path: Path) -> None:
    broken = replace(archive, url=archive.url.replace("/set.", "/broken/set."))
    with pytest.raises(DatasetError) as error:
        fetch("mine", broken, tmp_path)
    command = f"`python -m cifar_tune.datasets prepare mine --data {tmp_path}`"
    assert str(error.value).startswith(f"cannot download {broken.url}: ")
    assert f". Run {command} again to go on; without a network, fetch the file elsewhere, put it into" in str(
        error.value
    )
    assert (tmp_path / "set.tar.gz.part").stat().st_size == 100
    fetch("mine", archive, tmp_path)
    assert Publisher.ranges == [None, "bytes=100-"]
    assert_unpacked(tmp_path)


def test_a_download_broken_off_after_its_last_byte_is_whole(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "set.tar.gz.part").write_bytes(PACKED)
    fetch("mine", archive, tmp_path)
    assert_unpacked(tmp_path)


def test_an_archive_that_lies_there_needs_no_network_and_stays(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "set.tar.gz").write_bytes(PACKED)
    fetch("mine", archive, tmp_path)
    assert Publisher.ranges == []
    assert_unpacked(tmp_path)
    assert names(tmp_path) == ["set", "set.tar.gz"]


def test_without_a_network_the_message_names_the_url_and_the_folder(tmp_path: Path) -> None:
    nobody = Archive("http://127.0.0.1:1/set.tar.gz", "", bytes=10, unpacked_bytes=10)
    with pytest.raises(
        DatasetError, match=rf"cannot download http://127.0.0.1:1/set.tar.gz: .* put it into {tmp_path}"
    ):
        fetch("mine", nobody, tmp_path)


def test_a_file_that_the_publisher_no_longer_has_is_said_so(archive: Archive, tmp_path: Path) -> None:
    gone = replace(archive, url=archive.url.replace("set.tar.gz", "missing.tar.gz"))
    with pytest.raises(DatasetError, match=r"cannot download .*missing.tar.gz: Not Found"):
        fetch("mine", gone, tmp_path)


def test_a_download_with_the_wrong_sum_is_deleted(archive: Archive, tmp_path: Path) -> None:
    other = replace(archive, md5="0" * 32)
    with pytest.raises(
        DatasetError, match=r"set.tar.gz.part is corrupt: its md5 is \w+, the published file's is 0{32}; it"
    ):
        fetch("mine", other, tmp_path)
    assert names(tmp_path) == []


def test_too_small_a_disk_is_seen_before_the_download(archive: Archive, tmp_path: Path) -> None:
    huge = replace(archive, unpacked_bytes=10**18)
    with pytest.raises(DatasetError, match=r"set.tar.gz needs 1000000000.0 GB in .*, and .* GB are free; make room or"):
        fetch("mine", huge, tmp_path)
    assert Publisher.ranges == []


def test_an_archive_that_reaches_outside_is_refused(archive: Archive, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "set.tar.gz").write_bytes(buffer.getvalue())
    evil = replace(archive, md5=hashlib.md5(buffer.getvalue()).hexdigest())
    with pytest.raises(tarfile.OutsideDestinationError):
        fetch("mine", evil, tmp_path / "data")
    assert names(tmp_path) == ["data"]
