"""What arguments of several commands have in common."""

from __future__ import annotations

import argparse


def count(text: str) -> int:
    """Returns a whole number of at least 1. Raises ArgumentTypeError, which argparse prints with the option's name."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)
