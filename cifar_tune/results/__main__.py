"""Prints results/README.md: `python -m cifar_tune.results > results/README.md`."""

from cifar_tune.results.readme import readme

print(readme(), end="")
