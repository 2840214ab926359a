"""How well importances tell shares of variance that are known: ours, and Optuna's evaluators on the same trials.

    python benchmarks/importance.py [--trials 150] [--repetitions 4]

A metric of two effects that add up, of a learning rate searched over three decades and of a choice between two, and of
a third parameter without any: their shares of the variance are 0.75, 0.25 and 0.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from cifar_tune.analysis import importance

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-3, 1.0, log=True),
    "activation": CategoricalDistribution(["relu", "mish"]),
    "width": CategoricalDistribution([8, 16, 32]),
}
TRUTH = {"lr": 0.75, "activation": 0.25, "width": 0.0}


def make_trials(count: int, seed: int) -> pd.DataFrame:
    """Completed trials at random places."""
    draw = np.random.default_rng(seed)
    trials = pd.DataFrame({"trial_id": [f"t{place:04}" for place in range(count)], "status": "completed"})
    trials["trial.lr"] = 10 ** draw.uniform(-3, 0, count)
    trials["trial.activation"] = draw.choice(["relu", "mish"], count)
    trials["trial.width"] = draw.choice([8, 16, 32], count)
    effects = 0.1 * np.log10(trials["trial.lr"]) + 0.1 * (trials["trial.activation"] == "mish")
    return trials.assign(validation_accuracy=effects + draw.normal(0, 0.005, count))


def make_study(trials: pd.DataFrame) -> optuna.Study:
    """The same trials as a study of Optuna's."""
    study = optuna.create_study(direction="maximize")
    for row in trials.to_dict("records"):
        params = {name: row[f"trial.{name}"] for name in SPACE}
        value = row["validation_accuracy"]
        study.add_trial(optuna.trial.create_trial(params=params, distributions=SPACE, value=value))
    return study


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--repetitions", type=int, default=4)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found: dict[str, list[list[float]]] = {"ours, main effect": [], "Optuna, fANOVA": []}
    for seed in range(options.repetitions):
        trials = make_trials(options.trials, seed)
        ours = importance(trials).table.set_index("parameter")["main_effect"]
        theirs = optuna.importance.FanovaImportanceEvaluator(seed=seed).evaluate(make_study(trials))
        found["ours, main effect"].append([float(ours[name]) for name in SPACE])
        found["Optuna, fANOVA"].append([float(theirs[name]) for name in SPACE])
    print(f"{'mean of ' + str(options.repetitions):<24}" + "".join(f"{name:>12}" for name in SPACE))
    print(f"{'truth':<24}" + "".join(f"{TRUTH[name]:>12.2f}" for name in SPACE))
    for who, shares in found.items():
        print(f"{who:<24}" + "".join(f"{share:>12.2f}" for share in np.mean(shares, axis=0)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
