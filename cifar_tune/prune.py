"""`python -m cifar_tune.prune`: the same as `cifar-tune prune`."""

import sys

from cifar_tune.cli.prune import main

if __name__ == "__main__":
    sys.exit(main())
