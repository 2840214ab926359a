"""`python -m cifar_tune.track`: the same as `cifar-tune track`."""

import sys

from cifar_tune.cli.track import main

if __name__ == "__main__":
    sys.exit(main())
