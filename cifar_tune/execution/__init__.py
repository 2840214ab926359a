"""A proposal in, rows out: trains what the search proposes. The only package that imports Ray; never Optuna."""
