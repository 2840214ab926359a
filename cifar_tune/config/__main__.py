"""Prints the JSON schema of a sweep file: `python -m cifar_tune.config > docs/sweep.schema.json`."""

import json
import sys

from cifar_tune.config.json_schema import sweep_schema
from cifar_tune.exits import exit_status

if __name__ == "__main__":
    sys.exit(exit_status(lambda: print(json.dumps(sweep_schema(), indent=2, ensure_ascii=False))))
