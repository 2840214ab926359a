"""The training core: a `TrialConfig` goes in, one `EpochMetrics` an epoch comes out. Pure PyTorch, no Ray."""
