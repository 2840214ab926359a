"""`python -m cifar_tune.datasets`: the same as `cifar-tune datasets`."""

import sys

from cifar_tune.cli.datasets import main

if __name__ == "__main__":
    sys.exit(main())
