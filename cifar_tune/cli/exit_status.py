"""How commands end."""

from __future__ import annotations

import difflib
import errno
import os
import sys
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from io import TextIOWrapper

from cifar_tune.errors import CifarTuneError
from cifar_tune.storage.user_cache import settle_caches

DONE, NO_USABLE_RESULT, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses."""
READER_LEFT = 141
"""As of a process that SIGPIPE ended: nobody reads on, as after `| head -1`."""

SAVED = "stopped at once; every epoch that was reported is saved"
"""What a command says that trains on Ray, where a second Ctrl-C ended it."""

REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR}
"""By which the system refuses to write or read a file: the user's to mend, and no fault of the program."""


def exit_status(run: Callable[[], int | None], *, interrupted: str = "") -> int:
    """Returns the status that `run` returns; an error that the user can act upon becomes a message.

    run: returns None where it is done. interrupted: what to say after Ctrl-C.
    """
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without a character shows `?` for it
    try:
        settle_caches()
        status = run() or DONE
        _flush()
    except CifarTuneError as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        if interrupted:
            print(f"\n{interrupted}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and _folder_is_gone():
            print("the folder in which this command runs was deleted; change to one that is there", file=sys.stderr)
            return WRONG_INPUT
        if error.errno not in REFUSALS:
            raise
        print(f"{error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return WRONG_INPUT
    return status


def parsed(
    parser: ArgumentParser, arguments: Sequence[str] | None, suggest: Callable[[Sequence[str]], str] = lambda _: ""
) -> Namespace:
    """Returns the arguments; ends the program, as argparse does, where they are wrong or ask for help.

    suggest: returns what may be written instead of arguments that the parser does not know.
    """
    try:
        options, unknown = parser.parse_known_args(arguments)
        if unknown:
            parser.error(f"unrecognized arguments: {' '.join(unknown)}{suggest(unknown) or _near(unknown[0], parser)}")
        return options
    except SystemExit:
        try:
            _flush()
        except BrokenPipeError:
            raise SystemExit(_reader_left()) from None
        raise


def _near(option: str, parser: ArgumentParser) -> str:
    known = [one for action in parser._actions for one in action.option_strings]
    near = difflib.get_close_matches(option, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _folder_is_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _reader_left() -> int:
    """Lets what is still to be written go nowhere, so that Python does not complain at its end; returns the status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_LEFT
