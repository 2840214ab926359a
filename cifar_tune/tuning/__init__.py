"""A `SweepConfig` in, trials out. The only room that imports Ray and Optuna."""
