"""Hyper-parameter sweeps for image classifiers: one YAML file in, one table of results out."""

__version__ = "0.1.0"
