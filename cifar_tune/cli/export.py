"""`python -m cifar_tune.export CHECKPOINT`: a trained model as files for others to use."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_tune.cli.arguments import add_checkpoint, add_data, count, on_checkpoint, picture_files
from cifar_tune.cli.exit_status import exit_status, parsed
from cifar_tune.errors import CheckpointError, DatasetError, ExportError
from cifar_tune.layout import ENVIRONMENT_NAME, TRIALS_NAME

if TYPE_CHECKING:
    from torch import Tensor

    from cifar_tune.inspection.card import Confirmed, Provenance
    from cifar_tune.inspection.export_format import Written
    from cifar_tune.training.checkpoint import TrainedModel

FORMATS = ("safetensors", "onnx", "torch_export", "ternary")
TRIAL_FILES = (".yaml", ".yml")
CHECK_IMAGES = 64
"""Real images that a program's logits are compared on."""

EXAMPLES = """examples:
  python -m cifar_tune.export results/quickstart --best
  python -m cifar_tune.export results/quickstart/t0004 --format safetensors onnx --output five_or_six
  python -m cifar_tune.export results/trials/ternary_resnet18_cifar10/best --format ternary
  python -m cifar_tune.export results/quickstart --best --push-to-hub NAME/five_or_six
  python -m cifar_tune.export trials/mininet_food101.yaml --set initial_weights=theirs.pth --set model.variant=published

A trial's file stands for its network with its `initial_weights`: others' weights become a model for `predict`.

The folder appears whole or not at all. Weights are read back bit for bit; ONNX and torch.export programs take pixels,
and their logits are compared with the network's on validation images, or on those of --check-on.

exit status: 0 done; 2 the input is wrong.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cifar_tune.export",
        description="Writes a trained model as files, with a model card.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_checkpoint(parser, runs=False)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="where CHECKPOINT is a trial's file: a value of it",
    )
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="of a trial's file: names of classes, one a line, in label order"
    )
    parser.add_argument(
        "--format", nargs="+", choices=FORMATS, default=["safetensors"], help="one or several (default: safetensors)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="a new folder (default: results/exports/NAME OF TRIAL)"
    )
    parser.add_argument("--opset", type=count, metavar="N", help="of ONNX (default: torch.onnx's)")
    add_data(parser)
    parser.add_argument(
        "--check-on", type=Path, nargs="+", metavar="IMAGE", help="pictures to check on, where the data set is not here"
    )
    parser.add_argument("--push-to-hub", metavar="REPO", help="then upload the folder to this Hugging Face repository")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = parsed(command_line(), arguments)
    return exit_status(lambda: on_checkpoint(options, lambda folder: run(options, folder)))


def run(options: argparse.Namespace, folder: Path) -> None:
    """Exports, and says what was written.

    Raises:
        CifarTuneError: the input is wrong, or an export does not compute the same.
    """
    is_trial = folder.suffix in TRIAL_FILES
    if not is_trial and (options.set or options.classes):
        raise CheckpointError(
            f"--set and --classes are for a trial's file ({', '.join(TRIAL_FILES)}), not for {folder}"
        )
    output = options.output or Path("results", "exports", export_name(folder))
    from cifar_tune.inspection.deployed import DEFAULT_OPSET
    from cifar_tune.inspection.export import check_export, export
    from cifar_tune.inspection.export_format import PROGRAMS
    from cifar_tune.inspection.hub import check_hub, push
    from cifar_tune.inspection.trained import read_trained

    if options.opset and "onnx" not in options.format:
        raise ExportError("--opset is of format onnx, which is not asked for: add --format onnx")
    opset = options.opset or DEFAULT_OPSET
    trained = read_imported(folder, options) if is_trial else read_trained(folder)
    check_export(trained, output, options.format, opset)
    if options.push_to_hub:
        check_hub()
    images = real_images(trained, options) if set(options.format) & set(PROGRAMS) else None
    written = export(
        trained, output, options.format, images=images, opset=opset, provenance=provenance_of(trained, folder)
    )
    print("\n".join([f"{output}", *map(told, written)]))
    if options.push_to_hub:
        print(push(output, options.push_to_hub))


def read_imported(file: Path, options: argparse.Namespace) -> TrainedModel:
    """Returns the network of a trial's file with its initial weights, and prints what of them went where.

    Raises:
        CifarTuneError: the file is wrong, or the weights do not fill its network.
    """
    from cifar_tune.config.load import load_trial
    from cifar_tune.inspection.imported import imported, info_of
    from cifar_tune.training.datasets.data_root import data_root

    trial = load_trial(file, options.set)
    info = info_of(trial, data_root(options.data), options.classes)
    trial.model.check(info)
    trained, matching = imported(trial, info, file)
    print(matching)
    return trained


def told(one: Written) -> str:
    """Returns a line about a file."""
    if one.difference is None:
        return f"  {one.file}  {one.bytes:,} bytes, read back bit for bit"
    return (
        f"  {one.file}  {one.bytes:,} bytes, logits within {one.difference:.1g} of the network's on {one.images} images"
    )


def export_name(checkpoint: Path) -> str:
    """Returns SWEEP_TRIAL of a checkpoint in a results folder, else its own name, or that of a trial's file."""
    from cifar_tune.training.storage import trial_folder

    checkpoint = checkpoint.absolute()
    trial = trial_folder(checkpoint)
    trial = checkpoint.with_suffix("") if trial == checkpoint else trial
    return f"{trial.parents[1].name}_{trial.name}" if trial.parent.name == "checkpoints" else trial.name


def real_images(trained: TrainedModel, options: argparse.Namespace) -> Tensor:
    """Returns (N, C, H, W) uint8: the pictures named, else the first validation images.

    Raises:
        DatasetError: they are not here, or cannot be read.
    """
    import numpy as np
    import torch

    from cifar_tune.execution.data_record import recorded_root
    from cifar_tune.execution.test_split import home_of
    from cifar_tune.inspection.predictor import NetworkPredictor
    from cifar_tune.training.data import load_data
    from cifar_tune.training.datasets.data_root import data_root

    if options.check_on:
        files, refused = picture_files(options.check_on)
        if refused:
            raise refused[0]
        predictor = NetworkPredictor(trained, "cpu")
        return torch.from_numpy(np.stack([predictor.pixels(file) for file in files[:CHECK_IMAGES]]))
    root = data_root(options.data, recorded_root(home_of(trained.folder).folder))
    try:
        data = load_data(trained.trial.dataset, root, torch.device("cpu"))
    except DatasetError as error:
        raise DatasetError(
            f"{error}\nONNX and torch.export are checked on the data set's images: --data says where it is, "
            f"--check-on names pictures to take instead"
        ) from None
    source = data.validation if len(data.validation) else data.train
    return next(source.batches(torch.arange(min(CHECK_IMAGES, len(source))), CHECK_IMAGES))


def provenance_of(trained: TrainedModel, checkpoint: Path) -> Provenance:
    """Returns what the checkpoint, and the results folder that it lies in, tell of the network."""
    from cifar_tune.inspection.card import Provenance
    from cifar_tune.inspection.exported import is_exported, provenance_in
    from cifar_tune.training.checkpoint import Checkpoint

    if is_exported(checkpoint):
        return provenance_in(checkpoint)
    last = trained.history[-1] if isinstance(trained, Checkpoint) and trained.history else None
    known: dict[str, Any] = (
        {} if last is None else {"epoch": last.epoch, "validation_accuracy": last.validation_accuracy}
    )
    return Provenance(**known, **of_results(checkpoint, 0 if last is None else last.epoch))


def of_results(checkpoint: Path, epochs: int) -> dict[str, Any]:
    """Returns what a results folder tells of the trial whose checkpoint lies in it; nothing elsewhere.

    epochs: that the checkpoint was trained for.
    """
    from cifar_tune.analysis.confirmation import images_of, rows_of_confirm
    from cifar_tune.execution.test_split import home_of
    from cifar_tune.results import load
    from cifar_tune.training.storage import trial_folder

    checkpoint = checkpoint.resolve()
    trial, folder = trial_folder(checkpoint), home_of(checkpoint).folder
    if not (folder / TRIALS_NAME).is_file():
        return {}
    frames = load(folder)
    rows = frames.confirmations[frames.confirmations["test_accuracy"].notna()]
    # `evaluate` names the checkpoint itself; `confirm` the trial, whose last epoch it has scored.
    names = {one.relative_to(folder).as_posix() for one in (checkpoint, trial)[: 1 + (checkpoint.name == "last")]}
    # A trial that went on since then has other weights there.
    own = rows[rows["checkpoint"].isin(names) & rows["epochs"].eq(epochs)]
    retrained = frames.confirmations["checkpoint"].eq(trial.relative_to(folder).as_posix())
    trial_id = next(iter(frames.confirmations["trial_id"][retrained].astype(str)), trial.name)
    fresh = rows_of_confirm(rows[rows["trial_id"].eq(trial_id) & rows["status"].eq("completed")])
    return {
        "sweep": next(iter(frames.trials["sweep"].astype(str)), folder.name),
        "trial_id": trial_id,
        "test_accuracy": float(own["test_accuracy"].iloc[-1]) if len(own) else None,
        "confirmed": tuple(
            confirmed(str(trained_on), group["test_accuracy"].tolist(), images_of(group, "test"))
            for trained_on, group in fresh.groupby("trained_on", observed=True)
        ),
        **begun(folder),
    }


def confirmed(trained_on: str, accuracies: Sequence[float], images: float) -> Confirmed:
    """Returns mean and 95 % interval of the test accuracies of one configuration on a number of images."""
    from cifar_tune.analysis.confirmation import estimate_proportion
    from cifar_tune.inspection.card import Confirmed

    found = estimate_proportion(accuracies, images)
    interval = (None, None) if math.isnan(found.low) else (found.low, found.high)
    return Confirmed(trained_on, found.n, found.mean, *interval)


def begun(folder: Path) -> dict[str, Any]:
    """Returns by which command and commit a sweep was begun, as environment.json has it."""
    try:
        environment = json.loads((folder / ENVIRONMENT_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return {"command": environment.get("command"), "commit": environment.get("git")}


if __name__ == "__main__":
    raise SystemExit(main())
