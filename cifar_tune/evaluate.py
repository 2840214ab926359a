"""`python -m cifar_tune.evaluate`: the same as `cifar-tune evaluate`."""

import sys

from cifar_tune.cli.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
