"""`cifar-tune config`: the JSON schema of a sweep file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from cifar_tune.cli.exit_status import exit_status, parsed

DESCRIPTION = """Prints the JSON schema of a sweep file, by which editors complete keys and mark mistakes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parsed(argparse.ArgumentParser(prog="python -m cifar_tune.config", description=DESCRIPTION), arguments)
    return exit_status(_print_schema)


def _print_schema() -> None:
    from cifar_tune.config.json_schema import sweep_schema

    print(json.dumps(sweep_schema(), indent=2, ensure_ascii=False))
