"""`python -m cifar_tune.report`: the same as `cifar-tune report`."""

import sys

from cifar_tune.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
