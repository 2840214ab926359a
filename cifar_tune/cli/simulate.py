"""`python -m cifar_tune.simulate TABLE`: replays recorded curves to choose sampler and scheduler in simulated time."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from cifar_tune.cli.arguments import count
from cifar_tune.cli.exit_status import exit_status, parsed
from cifar_tune.errors import ResultsError

if TYPE_CHECKING:
    from cifar_tune.config.objective import Objective
    from cifar_tune.config.samplers import AnySampler
    from cifar_tune.config.schedulers import AnyScheduler
    from cifar_tune.search.simulate.recordings import Recording
    from cifar_tune.search.simulate.regret import Regret

SHARES = (1 / 16, 1 / 8, 1 / 6, 1 / 4, 1 / 2, 1.0)
"""Of the budget, shown in the terminal."""

EXAMPLES = """examples:
  python -m cifar_tune.simulate results/quickstart
  python -m cifar_tune.simulate curves.parquet --sampler random --scheduler none
  python -m cifar_tune.simulate curves.parquet --sweep sweeps/quickstart.yaml --workers 4 --json regret.json

TABLE is a results folder of ours, of which the trials that ran to the end are replayed, or a parquet table with a row
for each run and epoch: run_id, hp_* (the configuration), epoch and val_acc (val_loss, where the sweep file's objective
is the loss); of use if there are max_epochs, status (ok or diverged), train_loss and seconds. The search space is that
of the recorded values. Regret is the best recorded final value minus the final value of the run that the search would
return at that time.

exit status: 0 done; 2 the input is wrong.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cifar_tune.simulate",
        description="Replays recorded learning curves through a search in simulated time, and reports its regret.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", type=Path, metavar="TABLE", help="a results folder, or a table of recorded runs")
    parser.add_argument("--sweep", type=Path, metavar="FILE", help="take sampler, scheduler and objective from here")
    parser.add_argument("--workers", type=count, default=8, metavar="N", help="trials at once (default: 8)")
    parser.add_argument("--repetitions", type=count, default=30, metavar="N", help="each has its seed (default: 30)")
    parser.add_argument(
        "--budget-trials", type=count, default=64, metavar="N", help="whole trials that the time is for (default: 64)"
    )
    parser.add_argument("--sampler", metavar="NAME", help="with its default options, instead of the sweep file's")
    parser.add_argument("--scheduler", metavar="NAME", help="with its default options, instead of the sweep file's")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the whole regret curve there")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = parsed(command_line(), arguments)
    return exit_status(lambda: simulate(options))


def simulate(options: argparse.Namespace) -> None:
    """Replays, prints the regret and writes it.

    Raises:
        CifarTuneError: the input is wrong.
    """
    from cifar_tune.config.schedulers import AshaPromotion
    from cifar_tune.search.simulate.recording_tables import read_recording
    from cifar_tune.search.simulate.regret import measure_regret

    objective, sampler, scheduler = _settings(options)
    recording = read_recording(options.table, objective.metric)
    scheduler = scheduler or _named_scheduler(options.scheduler or AshaPromotion().name, recording)
    regret = measure_regret(
        recording,
        objective,
        sampler,
        scheduler,
        workers=options.workers,
        repetitions=options.repetitions,
        budget_trials=options.budget_trials,
    )
    space = ", ".join(f"{name} {_range(domain)}" for name, domain in recording.search.items())
    print(f"{recording.name}: {len(recording.runs)} runs of up to {recording.epochs} epochs; {space}")
    print(f"{_words(sampler)}; {_words(scheduler)}; {options.workers} workers, {options.repetitions} repetitions\n")
    print(text_of(regret))
    if options.json is not None:
        _write(options.json, json.dumps(as_json(regret), indent=1))


def _settings(options: argparse.Namespace) -> tuple[Objective, AnySampler, AnyScheduler | None]:
    """Returns what the command line and the sweep file ask for; no scheduler where the table must be known first."""
    from cifar_tune.config.load import load_sweep
    from cifar_tune.config.objective import Objective
    from cifar_tune.config.samplers import AnySampler, Tpe
    from cifar_tune.config.schedulers import AnyScheduler

    samplers, schedulers = _by_name(AnySampler), _by_name(AnyScheduler)
    _check_name("--sampler", options.sampler, samplers)
    _check_name("--scheduler", options.scheduler, schedulers)
    sweep = None if options.sweep is None else load_sweep(options.sweep)
    if sweep is not None and len(sweep.objectives) > 1:
        from cifar_tune.errors import ConfigError, Problem

        message = f"a simulation goes by one objective, this sweep by {len(sweep.objectives)}; name one of them"
        raise ConfigError([Problem(str(options.sweep), None, None, "objective", message)])
    objective = Objective() if sweep is None else sweep.objectives[0]
    default = Tpe() if sweep is None else sweep.sampler
    sampler = default if options.sampler is None else samplers[options.sampler]()
    keep = sweep is not None and options.scheduler in (None, sweep.scheduler.name)
    _refuse_pbt(options, sweep.scheduler.name if sweep is not None and keep else options.scheduler, schedulers)
    return objective, sampler, sweep.scheduler if sweep is not None and keep else None


def _by_name(union: Any) -> Mapping[str, Any]:
    """Returns the members of a union of components, by name."""
    return {member.model_fields["name"].default: member for member in get_args(get_args(union)[0])}


def _check_name(option: str, name: str | None, members: Mapping[str, Any]) -> None:
    if name is not None and name not in members:
        from cifar_tune.errors import ConfigError, Problem

        raise ConfigError([Problem(option, None, None, "", f"there is no `{name}`; allowed are {', '.join(members)}")])


def _refuse_pbt(options: argparse.Namespace, name: str | None, schedulers: Mapping[str, Any]) -> None:
    """Raises ConfigError where the scheduler changes configurations while they train."""
    if name != "pbt":
        return
    from cifar_tune.errors import ConfigError, Problem

    where = (str(options.sweep), "scheduler.name") if options.scheduler is None else ("--scheduler", "")
    others = ", ".join(other for other in schedulers if other != "pbt")
    message = f"pbt changes trials while they train, and recorded curves stay as they are; allowed are {others}"
    raise ConfigError([Problem(where[0], None, None, where[1], message)])


def _named_scheduler(name: str, recording: Recording) -> AnyScheduler:
    from cifar_tune.config.schedulers import WITH_GRACE, AnyScheduler, default_grace

    grace = default_grace({"name": name}, recording.epochs, len(recording.runs))
    values = {"grace_epochs": grace} if name in WITH_GRACE else {}
    scheduler: AnyScheduler = _by_name(AnyScheduler)[name](**values)
    return scheduler


def as_json(regret: Regret) -> dict[str, Any]:
    """Returns the regret curve in plain values."""
    points = zip(regret.seconds, regret.iqm, regret.low, regret.high, strict=True)
    return {
        "repetitions": regret.repetitions,
        "workers": regret.workers,
        "budget_seconds": regret.budget_seconds,
        "curve": [
            {"seconds": float(a), "regret_iqm": float(b), "regret_low": float(c), "regret_high": float(d)}
            for a, b, c, d in points
        ],
    }


def text_of(regret: Regret) -> str:
    """Returns the regret at some shares of the budget, as a table."""
    lines = ["  share of budget   hours      regret (interquartile mean, 95 % interval)"]
    for share in SHARES:
        place = regret.at(share)
        hours = regret.seconds[place] / 3600
        low, high = regret.low[place], regret.high[place]
        lines.append(f"  {share:<15.3f} {hours:>8.2f}      {regret.iqm[place]:.4f}  ({low:.4f} to {high:.4f})")
    return "\n".join(lines)


def _range(domain: Any) -> str:
    if hasattr(domain, "choice"):
        return f"of {len(domain.choice)}"
    return f"{domain.low:.3g} to {domain.high:.3g}{' log' if domain.log else ''}"


def _words(component: Any) -> str:
    options = ", ".join(f"{key} {value}" for key, value in component if key != "name" and value is not None)
    return f"{component.name} ({options})" if options else str(component.name)


def _write(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise ResultsError(f"{path}: could not be written: {error.strerror}") from error
