"""Prints the JSON schema of a sweep file: `python -m cifar_tune.config > docs/sweep.schema.json`."""

import json

from cifar_tune.config.json_schema import sweep_schema

print(json.dumps(sweep_schema(), indent=2, ensure_ascii=False))
