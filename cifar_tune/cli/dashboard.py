"""`python -m cifar_tune.dashboard RESULTS`: a sweep in the browser, live."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cifar_tune.cli.arguments import add_results
from cifar_tune.cli.exit_status import DONE, WRONG_INPUT, parsed
from cifar_tune.cli.results_place import open_for_reading
from cifar_tune.errors import CifarTuneError
from cifar_tune.storage.folders import named

HOST, PORT = "127.0.0.1", 8891

EXAMPLES = """examples:
  python -m cifar_tune.dashboard results/quickstart
  python -m cifar_tune.dashboard results/quickstart --port 9000
  python -m cifar_tune.dashboard results/quickstart --host 0.0.0.0     other machines may look, with the token it prints
  ssh -L 8891:127.0.0.1:8891 HOST                                      or, without that: from your machine to HOST's

Works while the sweep runs and after it, and on a copy of the folder. Ctrl-C ends it; the sweep goes on.

exit status: 0 ended by Ctrl-C; 2 the input is wrong.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cifar_tune.dashboard",
        description="Shows a sweep in the browser, live: trials, curves, heat map, decisions, memory.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_results(parser)
    parser.add_argument("--port", type=_port, default=PORT, help=f"0 for any that is free (default: {PORT})")
    parser.add_argument("--host", default=HOST, help=f"address to serve at (default: {HOST}); others need a token")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 65535, got {text!r}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = parsed(command_line(), arguments)
    try:
        with open_for_reading(options.results, following=True) as folder:
            return dashboard(folder, options.host, options.port)
    except CifarTuneError as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        return DONE


def dashboard(folder: Path, host: str, port: int) -> int:
    """Serves a results folder until Ctrl-C; returns the exit status.

    Raises:
        CifarTuneError: the folder is not a sweep, or the address cannot be served at.
    """
    from cifar_tune.dashboard.app import make_app
    from cifar_tune.dashboard.assets import warm
    from cifar_tune.dashboard.live import LiveSweep
    from cifar_tune.dashboard.server import open_place, serve
    from cifar_tune.results import check_sweep

    check_sweep(folder)
    place = open_place(host, port)
    app = make_app(LiveSweep(folder))

    def announce() -> None:
        print(f"{named(folder)}: {place.url}", flush=True)
        if place.token:
            print("Whoever has this address can read the sweep; the token ends with this program.", flush=True)
        print("Ctrl-C ends it.", flush=True)

    serve(place, app, announce=announce, warm=warm)
    return DONE
