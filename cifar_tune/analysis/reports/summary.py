"""What the sweep command prints at its end."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cifar_tune.analysis.reports.overview import print_overview
from cifar_tune.layout import ENVIRONMENT_NAME, EPOCHS_NAME, SWEEP_NAME, TRIALS_NAME
from cifar_tune.results import load

WHERE = {
    TRIALS_NAME: "one row a trial",
    EPOCHS_NAME: "one row a trial and epoch",
    SWEEP_NAME: "the sweep as it was run",
    ENVIRONMENT_NAME: "versions, commit, devices",
    "checkpoints": "one folder a trial: last and best",
}


def print_summary(folder: Path, console: Console, place: str) -> None:
    """Prints the best trials, the heat map, and where everything lies.

    place: what the user calls the folder.

    Raises:
        ResultsError: the folder holds no sweep.
    """
    print_overview(console, folder, *load(folder))
    console.print()
    console.print(Text.assemble(("Results", "bold"), f" in {place}"))
    present = {name: what for name, what in WHERE.items() if (folder / name).exists()}
    for name, what in present.items():
        console.print(Text(f"  {name:<18}{what}", "dim"))
    for corrupt in sorted(folder.glob("checkpoints/*/*.corrupt")):
        told = (
            f"  {corrupt.relative_to(folder)}: was corrupt; the trial went on from an older checkpoint, or began anew"
        )
        console.print(Text(told), soft_wrap=True)
    for command in ("report", "confirm"):
        words = shlex.join(["python", "-m", f"cifar_tune.{command}", place])
        console.print(Text(f"  {words}"), soft_wrap=True)
