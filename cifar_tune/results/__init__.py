"""Rows in, parquet tables out; valid at every instant."""

from cifar_tune.results.reading import DamagedTableWarning, Frames, check_sweep, frames_of, load
from cifar_tune.results.store import ResultsStore

__all__ = ["DamagedTableWarning", "Frames", "ResultsStore", "check_sweep", "frames_of", "load"]
