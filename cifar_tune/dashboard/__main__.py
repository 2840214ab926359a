"""`python -m cifar_tune.dashboard`: the same as `cifar-tune dashboard`."""

import sys

from cifar_tune.cli.dashboard import main

if __name__ == "__main__":
    sys.exit(main())
