"""How commands end."""

from __future__ import annotations

import sys
from collections.abc import Callable

from cifar_tune.errors import CifarTuneError

DONE, NO_USABLE_RESULT, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses."""

SAVED = "stopped at once; every epoch that was reported is saved"
"""What a command says that trains on Ray, where a second Ctrl-C ended it."""


def exit_status(run: Callable[[], int | None], *, interrupted: str = "") -> int:
    """Returns the status that `run` returns; an error that the user can act upon becomes a message.

    run: returns None where it is done. interrupted: what to say after Ctrl-C.
    """
    try:
        return run() or DONE
    except CifarTuneError as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        if interrupted:
            print(f"\n{interrupted}", file=sys.stderr)
        return INTERRUPTED
