"""What to try next, and what to stop. The only package that imports Optuna; never Ray or torch."""
