"""Addresses as they are written: which are some, and what they name."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import pytest

from cifar_tune.cli.arguments import results_place
from cifar_tune.errors import ConfigError, Problem, ResultsError, StorageError
from cifar_tune.storage.address import Address, is_inside, place, read_if_there, write_whole
from cifar_tune.storage.folders import as_named, mirrored, place_of
from cifar_tune.storage.replica import replica_folder


@pytest.mark.parametrize("text", ["s3://bucket/x", "gs://anonymous@bucket/a/b", "s3://b/x?endpoint_override=host:9000"])
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    address = place(text)
    assert isinstance(address, Address)
    assert str(address) == text
    assert place(str(address / "t0001")) == address / "t0001"
    assert (address / "t0001").parent == address
    assert pickle.loads(pickle.dumps(address)) == address


def test_options_stay_at_the_end() -> None:
    assert str(place("s3://b/x/?scheme=http") / "last" / "state.pt") == "s3://b/x/last/state.pt?scheme=http"


@pytest.mark.parametrize("text", ["s3://bucket", "s3://bucket/", "s3:///x", "ftp://host/x", "https://host/x", "://"])
def test_what_is_no_folder_in_a_bucket_is_told(text: str) -> None:
    with pytest.raises(StorageError, match="must be s3://BUCKET/FOLDER or gs://BUCKET/FOLDER"):
        place(text)
    with pytest.raises(argparse.ArgumentTypeError, match="must be s3://BUCKET/FOLDER"):
        results_place(text)


@pytest.mark.parametrize("name", ["../.bashrc", "a/../../b", "/etc/passwd", "a//b", "./a", "..", "", "a\\..\\b"])
def test_no_name_in_a_bucket_leads_out_of_the_folder(name: str) -> None:
    assert not is_inside(name)
    with pytest.raises(StorageError):
        place(f"s3://bucket/x/{name}/y")


def test_what_is_no_address_is_a_path() -> None:
    assert place("results/x") == Path("results/x")


def test_addresses_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    texts = ["s3://b/x", "gs://b/x", "s3://b/y", "s3://b/x?endpoint_override=other:1", "s3://c/x"]
    folders = {replica_folder(Address.parse(text)) for text in texts}
    assert len(folders) == len(texts)
    assert all(tmp_path in folder.parents for folder in folders)


def test_only_inside_the_block_a_folder_stands_for_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    address = Address.parse("s3://b/x")
    with mirrored(address) as replica:
        assert place_of(replica.folder) == address
        assert place_of(replica.folder / "confirm" / "checkpoints") == address / "confirm" / "checkpoints"
        assert place_of(tmp_path) == tmp_path
    assert place_of(replica.folder) == replica.folder


def test_a_file_is_written_whole_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    assert read_if_there(path) is None
    for content in (b"one", b"two"):
        write_whole(path, content)
        assert read_if_there(path) == content
    assert [one.name for one in path.parent.iterdir()] == ["b"]


def test_files_in_a_text_are_called_by_their_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with mirrored(Address.parse("s3://b/x?scheme=http")) as replica:
        folder = replica.folder
        told = as_named(f"{folder}: no; '{folder}/a.png', ({folder}/b), {tmp_path}/c")
    assert told == f"s3://b/x?scheme=http: no; 's3://b/x/a.png?scheme=http', (s3://b/x/b?scheme=http), {tmp_path}/c"
    assert as_named(str(folder)) == str(folder)


def test_errors_name_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    address = Address.parse("s3://b/x")
    with pytest.raises(ResultsError, match=r"^s3://b/x/trials\.parquet: no$"), mirrored(address) as replica:
        raise ResultsError(f"{replica.folder}/trials.parquet: no")
    with pytest.raises(ConfigError, match=r"^s3://b/x/sweep\.yaml:3: seed: no$"), mirrored(address) as replica:
        raise ConfigError([Problem(f"{replica.folder}/sweep.yaml", 3, None, "seed", "no")])
