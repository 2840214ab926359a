"""A disk that is full for a while, or for good. A limit on the size of files stands for it: the kernel cuts a write
short in the same way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import resource, signal, sys, threading, warnings
from pathlib import Path
from cifar_tune.errors import CifarTuneError
from cifar_tune.results import ResultsStore
from cifar_tune.results.full_disk import append_whole

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, seconds, freed_after = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
store = ResultsStore.create(folder, sweep_name="s")
store.update_trial("a", status="running")
limit((folder / "ledger.jsonl").stat().st_size + 40)
store.patience.seconds = seconds
timer = threading.Timer(freed_after, limit, [resource.RLIM_INFINITY])
timer.daemon = True
timer.start()
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    for trial_id in "bc":
        try:
            store.update_trial(trial_id, status="running")
        except CifarTuneError as error:
            print(type(error).__name__, str(error).replace(chr(10), " "))
print(len([one for one in warned if "ledger.jsonl" in str(one.message)]), "warned")
try:
    store.close()
except CifarTuneError as error:
    print(type(error).__name__)
"""


def lines_of(folder: Path, *, seconds: float, freed_after: float) -> list[str]:
    """What the script prints: the disk is full at first, and freed after some seconds."""
    words = [sys.executable, "-c", SCRIPT, str(folder), str(seconds), str(freed_after)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


def trials_of(folder: Path) -> list[str]:
    """The trials that the ledger knows, every line of which is whole."""
    recorded = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    return list(dict.fromkeys(event["trial_id"] for event in recorded if "trial_id" in event))


def test_a_sweep_waits_for_space_and_loses_nothing(tmp_path: Path) -> None:
    assert lines_of(tmp_path / "x", seconds=60.0, freed_after=0.5) == ["1 warned"]
    assert trials_of(tmp_path / "x") == ["a", "b", "c"]


def test_after_its_patience_it_ends_with_the_reason_and_waits_no_more(tmp_path: Path) -> None:
    first, second, warned, closing = lines_of(tmp_path / "x", seconds=0.3, freed_after=60.0)
    assert first == second
    assert first.startswith("SurroundingsError")
    assert all(word in first for word in ("ledger.jsonl", "retry_minutes: 0.005"))
    assert (warned, closing) == ("1 warned", "SurroundingsError")
    assert trials_of(tmp_path / "x") == ["a"]
