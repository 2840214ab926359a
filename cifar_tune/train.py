"""`python -m cifar_tune.train`: the same as `cifar-tune train`."""

import sys

from cifar_tune.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
