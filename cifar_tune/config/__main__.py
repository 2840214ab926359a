"""`python -m cifar_tune.config`: the same as `cifar-tune config`."""

import sys

from cifar_tune.cli.config import main

if __name__ == "__main__":
    sys.exit(main())
