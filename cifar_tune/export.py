"""`python -m cifar_tune.export`: the same as `cifar-tune export`."""

import sys

from cifar_tune.cli.export import main

if __name__ == "__main__":
    sys.exit(main())
