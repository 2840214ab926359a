"""Each grid cell's proposals: what Optuna is shown of the past, and what it proposes."""
