"""`python -m cifar_tune.inspect CHECKPOINT [IMAGE ...]`: what is inside a trained network."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.cli.arguments import STDIN, add_checkpoint, add_data, count, on_checkpoint, picture_files, written
from cifar_tune.cli.exit_status import DONE, WRONG_INPUT, exit_status, parsed
from cifar_tune.storage.folders import named

if TYPE_CHECKING:
    from rich.console import Console

    from cifar_tune.inspection.pictures import Pictures
    from cifar_tune.inspection.predictor import NetworkPredictor
    from cifar_tune.plotting.section import Section

VIEWS = ("filters", "features", "gradcam", "landscape")
DEFAULT_VIEWS = VIEWS[:3]
IMAGES, IMAGES_ON_A_CPU = 1024, 128
"""Of the loss landscape."""

EXAMPLES = """examples:
  python -m cifar_tune.inspect results/quickstart --best
  python -m cifar_tune.inspect results/quickstart/t0004 cat.png dog.png --show gradcam
  python -m cifar_tune.inspect results/quickstart/t0004 --layers
  python -m cifar_tune.inspect results/quickstart/t0004 --show features --layer stages.4
  python -m cifar_tune.inspect results/quickstart/t0004 --show landscape --points 25 --images 1024

filters: of convolutions (--layer; else the first), and what they make of the images. features: maps layer by layer.
gradcam: where the network looks; of tgn per expert, with the gate's probabilities. landscape: the loss around the
weights before and after training, and its sharpness; that takes minutes on a CPU, and says how many before it begins.

A picture that cannot be read is reported, and the others are looked at.

exit status: 0 done; 2 the input is wrong, be it one picture of many.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cifar_tune.inspect",
        description="Draws filters, feature maps, Grad-CAM and the loss landscape of a trained network.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_checkpoint(parser)
    parser.add_argument(
        "pictures", type=Path, nargs="*", metavar="IMAGE", help="files or folders (default: four validation images)"
    )
    parser.add_argument(
        "--show", nargs="+", choices=VIEWS, default=DEFAULT_VIEWS, metavar="VIEW",
        help=f"of {', '.join(VIEWS)} (default: {' '.join(DEFAULT_VIEWS)})",
    )  # fmt: skip
    parser.add_argument("--layer", action="append", default=[], metavar="NAME", help="look at it; may be repeated")
    parser.add_argument("--layers", action="store_true", help="only list the layers")
    parser.add_argument(
        "--images", type=count, metavar="N",
        help=f"of the loss landscape (default: {IMAGES}, on a CPU {IMAGES_ON_A_CPU})",
    )  # fmt: skip
    parser.add_argument("--points", type=_points, default=11, metavar="P", help="along each side (default: 11; odd)")
    parser.add_argument("--span", type=_span, default=1.0, metavar="X", help="of a side, in filter norms (default: 1)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="(default: inspection/ beside the checkpoint)")
    add_data(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = parsed(command_line(), arguments)
    return exit_status(lambda: on_checkpoint(options, lambda folder: inspect(options, folder)))


def inspect(options: argparse.Namespace, folder: Path) -> int:
    """Draws and writes what was asked for, and says what pictures cannot be read; returns the exit status.

    Raises:
        CifarTuneError: the checkpoint, all pictures, a layer or the data are not there, or cannot be read.
    """
    files, refused = picture_files(options.pictures)

    from cifar_tune.cli.console import EndingConsole
    from cifar_tune.execution.data_record import recorded_root
    from cifar_tune.execution.test_split import home_of
    from cifar_tune.inspection.inspection import default_convolutions
    from cifar_tune.inspection.layers import find_layer
    from cifar_tune.inspection.page import write_page
    from cifar_tune.inspection.pictures import given_pictures
    from cifar_tune.inspection.predictor import NetworkPredictor
    from cifar_tune.inspection.trained import read_trained
    from cifar_tune.training.datasets.data_root import data_root
    from cifar_tune.training.datasets.names import readable
    from cifar_tune.training.storage import trial_folder

    console = EndingConsole(soft_wrap=True, highlight=False)
    trained = read_trained(folder)
    network = NetworkPredictor(trained, options.device)
    if options.layers:
        for name, module in network.model.named_modules():
            if name:
                console.print(f"{name:<32} {type(module).__name__}")
        return DONE
    for name in options.layer:
        find_layer(network.model, name)
    filtered = _convolutions(options, network) or default_convolutions(network)
    output = options.output or trial_folder(trained.folder) / "inspection" / trained.folder.name
    told = f"{network.trial.model.name}, trained on {network.trial.dataset.name}, {network.info.classes} classes"
    pictures = None
    if files:
        content = ((readable(file.name), sys.stdin.buffer.read() if file == STDIN else file) for file in files)
        pictures, unreadable = given_pictures(network, content)
        refused += unreadable
        if (shown := len(pictures.labels)) < len(files) - len(unreadable):
            console.print(f"The first {shown} of {len(files)} pictures are looked at; name others for them.")
    root = data_root(options.data, recorded_root(home_of(trained.folder).folder))
    sections = list(_sections(options, network, filtered, pictures, console, root))
    files = write_page(output, f"Inside {named(folder)}", [told], sections)
    console.print(written(files))
    for error in refused:
        print(error, file=sys.stderr)
    return WRONG_INPUT if refused else DONE


def _convolutions(options: argparse.Namespace, network: NetworkPredictor) -> list[str]:
    """The layers named that have filters; at least one of them must, where filters alone are asked for."""
    from cifar_tune.inspection.layers import convolutions, find_convolution

    found = [name for name in options.layer if name in convolutions(network.model)]
    if options.layer and not found and list(options.show) == ["filters"]:
        find_convolution(network.model, options.layer[0])
    return found


def _sections(
    options: argparse.Namespace,
    network: NetworkPredictor,
    filtered: Sequence[str],
    pictures: Pictures | None,
    console: Console,
    root: Path,
) -> Iterator[Section]:
    from rich.progress import Progress

    from cifar_tune.inspection.inspection import (
        feature_sections,
        filter_sections,
        fixed_images,
        gradcam_sections,
        landscape_sections,
    )
    from cifar_tune.inspection.landscape import passes_needed, seconds_of_a_pass
    from cifar_tune.inspection.pictures import validation_pictures
    from cifar_tune.inspection.trial_data import trial_data

    if set(options.show) & set(DEFAULT_VIEWS):
        pictures = pictures or validation_pictures(network, root)
        if "gradcam" in options.show:
            yield from gradcam_sections(network, options.layer[-1] if options.layer else None, pictures)
        if "filters" in options.show:
            yield from filter_sections(network, filtered, pictures)
        if "features" in options.show:
            yield from feature_sections(network, options.layer, pictures)
    if "landscape" in options.show:
        most = options.images or (IMAGES_ON_A_CPU if network.device.type == "cpu" else IMAGES)
        images = fixed_images(network, trial_data(network, root).train, most)
        passes = passes_needed(options.points)
        minutes = passes * seconds_of_a_pass(network.model, images) / 60
        console.print(
            f"Loss landscape: {passes:,} passes over {len(images):,} training images at most, "
            f"{f'about {minutes:.0f} min' if minutes > 1 else 'a minute at most'}; --points and --images make them less"
        )
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("passes", total=passes)
            yield from landscape_sections(
                network, images, options.points, options.span, lambda number: progress.advance(task, number)
            )


def _points(text: str) -> int:
    """Raises ArgumentTypeError."""
    points = count(text)
    if points < 3 or points % 2 == 0:
        raise argparse.ArgumentTypeError(
            f"must be odd, for the network itself is one of them, and 3 or more, got {text}"
        )
    return points


def _span(text: str) -> float:
    """Raises ArgumentTypeError."""
    try:
        span = float(text)
    except ValueError:
        span = 0.0
    if not 0 < span < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return span
