"""Prints results/README.md: `python -m cifar_tune.results > results/README.md`."""

import sys

from cifar_tune.cli.exit_status import exit_status
from cifar_tune.results.readme import readme

if __name__ == "__main__":
    sys.exit(exit_status(lambda: print(readme(), end="")))
