"""`python -m cifar_tune.simulate`: the same as `cifar-tune simulate`."""

import sys

from cifar_tune.cli.simulate import main

if __name__ == "__main__":
    sys.exit(main())
