"""`python -m cifar_tune.inspect`: the same as `cifar-tune inspect`."""

import sys

from cifar_tune.cli.inspect import main

if __name__ == "__main__":
    sys.exit(main())
