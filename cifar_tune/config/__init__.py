"""YAML in, a checked `SweepConfig` or `TrialConfig` out, or every problem of the file at once."""
