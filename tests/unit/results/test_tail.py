from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_tune.errors import ResultsError
from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results import ResultsStore, frames_of, load
from cifar_tune.results.ledger import create_ledger
from cifar_tune.results.rows import replay
from cifar_tune.results.tail import LedgerTail

CREATED = {"event": "created", "ledger_version": 1, "sweep": "s"}


def line(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode() + b"\n"


@given(cuts=st.lists(st.integers(0, 400), max_size=8))
def test_however_the_ledger_grows_each_event_comes_once_and_whole(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tail") / LEDGER_NAME
    written = [CREATED, *({"event": "note", "number": number, "text": "ü"} for number in range(8))]
    content = b"".join(map(line, written))
    tail, seen, done = LedgerTail(path), [], 0
    for cut in [*sorted(min(cut, len(content)) for cut in cuts), len(content)]:
        with path.open("ab") as file:
            file.write(content[done:cut])
        done = cut
        seen += tail.new_events()
    assert seen == written


def test_what_is_torn_at_the_end_waits_until_it_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    path.write_bytes(line(CREATED) + b'{"event":"no\n')
    tail = LedgerTail(path)
    assert list(tail.new_events()) == [CREATED]
    assert list(tail.new_events()) == []
    path.write_bytes(line(CREATED) + line({"event": "opened"}))
    assert list(tail.new_events()) == [{"event": "opened"}]


def test_damage_before_the_end_is_told_and_the_next_reading_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    path.write_bytes(line(CREATED) + b"\0\0\n" + line({"event": "opened"}))
    tail = LedgerTail(path)
    with pytest.raises(ResultsError, match=r"ledger.jsonl:2: this line is damaged"):
        list(tail.new_events())
    path.write_bytes(line(CREATED) + line({"event": "opened"}))
    assert list(tail.new_events()) == [CREATED, {"event": "opened"}]


def test_a_ledger_in_the_place_of_another_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    create_ledger(path, "one")
    tail = LedgerTail(path)
    assert [event["sweep"] for event in tail.new_events()] == ["one"]
    create_ledger(path, "two")
    assert [event["sweep"] for event in tail.new_events()] == ["two"]


def test_a_newer_ledger_and_a_missing_one_are_told(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    with pytest.raises(ResultsError, match="cannot be read: No such file"):
        list(LedgerTail(path).new_events())
    path.write_bytes(line(CREATED | {"ledger_version": 99}))
    with pytest.raises(ResultsError, match="made by a newer cifar_tune"):
        list(LedgerTail(path).new_events())


def test_rows_followed_give_the_frames_that_load_gives(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        store.update_trial("t0", status="completed", configuration={"optimizer.lr": 0.1})
        store.add_epoch("t0", 1, validation_accuracy=0.5)
    followed = frames_of(tmp_path / "s", replay(LedgerTail(tmp_path / "s" / LEDGER_NAME).new_events()))
    for ours, loaded in zip(followed, load(tmp_path / "s"), strict=True):
        assert ours.equals(loaded)
