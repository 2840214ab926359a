"""Where a user's caches lie, also of a user without a home: in containers that run under a mere number."""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path


def user_cache() -> Path:
    """Returns the folder of what cifar_tune keeps for this user; it may not exist yet."""
    settle_caches()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "cifar_tune")


def settle_caches() -> None:
    """Names another folder for caches where the home cannot be written to, as ours and other libraries' do by default.

    A home that can only be read stays the home, since credentials and settings may be in it.
    """
    try:
        getpass.getuser()  # PyTorch's compiler asks for it, and fails for a number that is in no list of users
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = str(os.getuid())
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    if home is not None and _is_writable(home / ".cache"):
        return
    folder = str(_temporary_home())
    if home is None:
        os.environ["HOME"] = folder
    os.environ.setdefault("XDG_CACHE_HOME", folder)
    os.environ.setdefault("MPLCONFIGDIR", str(Path(folder, "matplotlib")))
    os.environ.setdefault("TRITON_HOME", folder)


def is_home_writable() -> bool:
    """Tells whether a file can be made in the home."""
    return _is_writable(Path.home())


def _is_writable(path: Path) -> bool:
    existing = next(one for one in (path, *path.parents) if one.exists())
    return os.access(existing, os.W_OK | os.X_OK)


def _temporary_home() -> Path:
    """Returns the same folder for each command of this user, unless another user was there first."""
    folder = Path(tempfile.gettempdir(), f"cifar_tune-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder if folder.lstat().st_uid == os.getuid() and not folder.is_symlink() else Path(tempfile.mkdtemp())
