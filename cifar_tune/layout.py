"""Every file name of a results folder, once. Imported by whoever reads or writes one of them.

results/<sweep>/
  sweep.yaml  environment.json  data.json
  ledger.jsonl  optuna.journal
  trials.parquet  epochs.parquet  confirmations.parquet
  checkpoints/<trial_id>/{last,previous,best}/
  confirm/        the same again, for retrainings with fresh seeds
  tracking/       what trackers have been sent
  report/         the page, its Markdown and its figures
  .lock  .driver.json  .ray/      while a sweep runs
"""

from __future__ import annotations

SWEEP_NAME = "sweep.yaml"
"""The resolved configuration, as the sweep was run."""
ENVIRONMENT_NAME = "environment.json"
"""Versions, commit and devices."""
DATA_NAME = "data.json"
"""Which images the results come from."""

LEDGER_NAME = "ledger.jsonl"
"""The append-only truth. Tables and journal are derived from it."""
JOURNAL_NAME = "optuna.journal"
"""The same for Optuna's tools, one study per grid cell."""

TRIALS_NAME = "trials.parquet"
EPOCHS_NAME = "epochs.parquet"
CONFIRMATIONS_NAME = "confirmations.parquet"
"""The only place where test metrics appear."""

CONFIRM_FOLDER = "confirm"
"""Ledger and checkpoints of the retrainings."""
CHECKPOINTS = "checkpoints"
"""One folder a trial. Nodes write here, also where the results folder is at an address."""
LAST, PREVIOUS, BEST = "last", "previous", "best"
"""Checkpoints of a trial. `previous` is there while `last` is not yet safe from a power failure."""
MODEL_FILE = "model.safetensors"
"""The weights inside a checkpoint."""
TRIAL_FILE = "trial.json"
"""The trial's configuration inside a checkpoint."""

REPORT_FOLDER = "report"
PAGE_NAME, MARKDOWN_NAME = "index.html", "report.md"
TRACKING_FOLDER = "tracking"

LOCK_NAME, DRIVER_NAME = ".lock", ".driver.json"
"""Held by the one driver that writes, and a note of who it is."""
RAY_FOLDER = ".ray"
"""Ray's own files while a sweep runs."""
