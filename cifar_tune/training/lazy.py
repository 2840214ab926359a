"""`torch`, imported at its first use.

Files that hold a schema beside a few tensor functions import torch from here:
reading a sweep file must not cost the seconds that importing torch does.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
else:

    class _Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            value = getattr(importlib.import_module(self.__name__), name)
            setattr(self, name, value)
            return value

    torch = _Lazy("torch")
