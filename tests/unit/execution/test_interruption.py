"""Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal

import pytest

from cifar_tune.execution.interruption import SIGNALS, Interruption


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_and_the_second_ends_at_once(number: int) -> None:
    with Interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), number)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_a_handler_that_something_else_set_is_replaced_again() -> None:
    with Interruption() as interruption:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        interruption.listen()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.requested


def test_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption():
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before
