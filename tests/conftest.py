"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# Nets as small as the tests' gain nothing from a second thread, and on busy cores threads wait ten times longer for
# each other than they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Where there is no network, the hub's client tries again for half a minute.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# A shell that starts this in the background has it ignore Ctrl-C, and commands under test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real data sets in torchvision's layout; skips where CIFAR_TUNE_DATA names none."""
    folder = os.environ.get("CIFAR_TUNE_DATA")
    if not folder or not Path(folder, "cifar-10-batches-py").is_dir():
        pytest.skip("needs real data: set CIFAR_TUNE_DATA to a folder with cifar-10-batches-py in it")
    return Path(folder)
