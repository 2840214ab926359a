"""`python -m cifar_tune.confirm`: the same as `cifar-tune confirm`."""

import sys

from cifar_tune.cli.confirm import main

if __name__ == "__main__":
    sys.exit(main())
