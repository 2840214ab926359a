"""`python -m cifar_tune.sweep`: the same as `cifar-tune sweep`."""

import sys

from cifar_tune.cli.sweep import main

if __name__ == "__main__":
    sys.exit(main())
