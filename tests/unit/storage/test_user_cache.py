"""Where caches go of a user without a home, or with one that cannot be written to."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cifar_tune.storage import user_cache as module
from cifar_tune.storage.user_cache import user_cache


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR", "TRITON_HOME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_home_that_can_be_written_to_is_used(tmp_path: Path) -> None:
    assert user_cache() == tmp_path / ".cache" / "cifar_tune"
    assert "MPLCONFIGDIR" not in os.environ


def test_the_variable_comes_before_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert user_cache() == tmp_path / "x" / "cifar_tune"


NUMBERED = """
import os, pwd, sys, tempfile
os.setgid(12345)
os.setuid(12345)
os.environ.pop("HOME", None)
if len(sys.argv) > 2:
    os.environ["HOME"] = sys.argv[2]
tempfile.tempdir = sys.argv[1]
from pathlib import Path
cache = user_cache()
cache.mkdir(parents=True)
(cache / "record").touch()
Path(os.environ["MPLCONFIGDIR"]).mkdir()
import getpass
print(cache.parent, Path.home(), getpass.getuser())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user, which only root may")
@pytest.mark.parametrize("home", [[], ["/"], ["/proc"]])
def test_a_user_who_is_a_mere_number_has_caches(home: list[str]) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o1777)
        # The module's text, since another user may not be allowed to read where it lies.
        text = Path(module.__file__).read_text(encoding="utf-8") + NUMBERED
        done = subprocess.run(
            [sys.executable, "-", folder, *home],
            input=text,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        own = f"{folder}/cifar_tune-12345"
        assert done.stdout.split() == [own, *(home or [own]), "12345"]
        assert os.stat(own).st_mode & 0o077 == 0
