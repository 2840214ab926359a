"""The first Ctrl-C or SIGTERM asks the sweep to stop; the second ends the process at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self

from cifar_tune.search.stop_rules import Met

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Whether the user, or the system, wants the sweep to stop. A context: inside it the signals set `requested`."""

    def __init__(self) -> None:
        self.requested = False
        self.time_is_over: Met | None = None
        self._previous: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.getsignal(number) for number in SIGNALS}
            self.listen()
        return self

    @property
    def now(self) -> bool:
        """Whether trials are to be broken off, by the user or by a rule about time."""
        return self.requested or self.time_is_over is not None

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def listen(self) -> None:
        """Takes the signals over again, as something else may have (`ray.init` does with SIGTERM)."""
        for number in self._previous:
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
