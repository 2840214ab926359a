"""`python -m cifar_tune.predict`: the same as `cifar-tune predict`."""

import sys

from cifar_tune.cli.predict import main

if __name__ == "__main__":
    sys.exit(main())
