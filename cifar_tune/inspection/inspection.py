"""What can be seen in a network, section by section of a page. N images, C channels, H x W."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cifar_tune.errors import InspectionError
from cifar_tune.inspection.gradcam import expert_views, grad_cam
from cifar_tune.inspection.gradcam_figures import experts_figure, gradcam_figure
from cifar_tune.inspection.landscape import (
    FixedImages,
    estimate_statistics,
    largest_curvature,
    losses_on_line,
    losses_on_plane,
    random_direction,
    sam_sharpness,
)
from cifar_tune.inspection.landscape_figures import Landscape, line_figure, plane_figure
from cifar_tune.inspection.layer_figures import features_figure, filters_figure, responses_figure
from cifar_tune.inspection.layers import (
    captured,
    convolutions,
    filters_of,
    find_convolution,
    find_layer,
    last_map,
    map_sizes,
    steps_of,
)
from cifar_tune.inspection.pictures import Pictures
from cifar_tune.inspection.predictor import NetworkPredictor
from cifar_tune.plotting.section import Section, Table
from cifar_tune.training.data import ImageSource
from cifar_tune.training.networks.tgn import TaxonomicGatedNetwork
from cifar_tune.training.state import initial_model

EXPERTS = 4
LOSS_BATCH = 128
SEED = 0
"""Of both directions: the same whenever a network is looked at."""

KEPT_STATISTICS = (
    "Directions leave BatchNorm's parameters and biases alone, as in the paper's code. BatchNorm's statistics stay "
    "those of the network at its origin: they are part of it there, and recomputed at each place they would take back "
    "part of the step. A network that has not been trained has none; they are taken once from the same images."
)


def filter_sections(network: NetworkPredictor, names: Sequence[str], pictures: Pictures) -> Iterator[Section]:
    """Yields the filters of each convolution, and what they make of the pictures."""
    for name in names:
        weights = filters_of(find_convolution(network.model, name)).numpy()
        yield Section(
            f"Filters of {name}",
            name=f"filters-{name}",
            draw=partial(filters_figure, name, weights),
            alternative=f"Filters of the convolution {name}",
        )
        maps = _outputs(network, [name], pictures.pixels)[name]
        yield Section(
            f"Images after {name}",
            name=f"filtered-{name}",
            draw=partial(responses_figure, name, pictures.pixels, pictures.labels, maps),
            alternative=f"What the filters of {name} make of each image",
        )


def feature_sections(network: NetworkPredictor, names: Sequence[str], pictures: Pictures) -> Iterator[Section]:
    """Yields the feature maps of each picture. names: of layers; none means block by block."""
    shown = list(names) or steps_of(network.model, map_sizes(network.model, _normalised(network, pictures.pixels)))
    outputs = _outputs(network, shown, pictures.pixels)
    flat = [name for name in shown if outputs[name].ndim != 4]
    if flat:
        raise InspectionError(f"layer `{flat[0]}` gives no maps, but {outputs[flat[0]].shape[1:]} numbers an image")
    for place, (picture, label) in enumerate(zip(pictures.pixels, pictures.labels, strict=True), start=1):
        maps = {name: outputs[name][place - 1] for name in shown}
        yield Section(
            f"Feature maps of {label}",
            name=f"features-{place}",
            draw=partial(features_figure, picture, label, maps),
            alternative=f"Feature maps of {label}, layer by layer",
        )


def gradcam_sections(network: NetworkPredictor, layer: str | None, pictures: Pictures) -> Iterator[Section]:
    """Yields what spoke for each answer; of a Taxonomic Gated Network what its gate and experts see, too.

    layer: by default the last that can tell places apart.
    """
    model, images = network.model, _normalised(network, pictures.pixels)
    sizes = map_sizes(model, images)
    layer = layer or last_map(sizes)
    find_layer(model, layer)
    if layer not in sizes:
        raise InspectionError(f"layer `{layer}` gives no map to look at; those that do are {', '.join(sizes)}")
    with torch.no_grad():
        found = model(images).float().softmax(1)
    best = found.argmax(1)
    maps = grad_cam(model, layer, images, lambda logits: logits.gather(1, best[:, None]).squeeze(1))
    names = network.info.class_names
    answers = [f"{100 * float(row[one]):.0f} % {names[one]}" for row, one in zip(found, best.tolist(), strict=True)]
    yield Section(
        "Where the network looks",
        name="gradcam",
        draw=partial(gradcam_figure, pictures.pixels, pictures.labels, answers, maps, layer),
        alternative="Grad-CAM of the likeliest class of each image",
    )
    if not isinstance(model, TaxonomicGatedNetwork):
        return
    for place, (picture, label) in enumerate(zip(pictures.pixels, pictures.labels, strict=True), start=1):
        views = expert_views(model, layer, images[place - 1 : place], network.info, EXPERTS)
        yield Section(
            f"Gate and experts on {label}",
            name=f"experts-{place}",
            draw=partial(experts_figure, picture, label, views, layer),
            alternative=f"Which expert looks where in {label}, with the gate's probabilities",
        )


def landscape_sections(
    network: NetworkPredictor, images: FixedImages, points: int, span: float, done: Callable[[int], None]
) -> Iterator[Section]:
    """Yields the loss around the network before and after training.

    points: along each direction, odd. span: how far to either side. done: takes how many passes were made since.
    """
    landscapes = {}
    for name in ("before training", "after training"):
        trained = name == "after training"
        found = network.model if trained else initial_model(network.trial, network.info).to(network.device).eval()
        if not trained:
            estimate_statistics(found, images)
        landscapes[name] = landscape_of(found, images, points, span, done)
    told = f"Mean cross-entropy over {len(images):,} training images, not augmented, in float32. {KEPT_STATISTICS}"
    rows = tuple(
        (name, f"{one.loss:.4g}", f"{one.sharpness:+.4g}", f"{one.curvature:.4g}") for name, one in landscapes.items()
    )
    yield Section(
        "Loss along a line",
        (told,),
        name="landscape-line",
        draw=partial(line_figure, landscapes),
        alternative="Loss along a random direction, before and after training",
    )
    yield Section(
        "Loss on a plane",
        name="landscape-plane",
        draw=partial(plane_figure, landscapes),
        alternative="Loss on the plane of two random directions, before and after training",
    )
    yield Section(
        "Sharpness",
        (
            "Rise: by the steepest step of length 0.05, all parameters together, as SAM takes it (Foret et al. 2021). "
            "Curvature: the Hessian's largest eigenvalue in magnitude. Neither is scaled by filter: in a network of "
            "larger weights both are smaller.",
        ),
        Table(("", "loss (nats)", "rise (nats)", "curvature"), rows, left=(True, False, False, False)),
    )


def landscape_of(
    model: torch.nn.Module, images: FixedImages, points: int, span: float, done: Callable[[int], None]
) -> Landscape:
    """Returns the loss around one network."""
    places = np.linspace(-span, span, points)
    directions = random_direction(model, SEED), random_direction(model, SEED + 1)
    return Landscape(
        places=places,
        line=losses_on_line(model, images, directions[0], places, done),
        plane=losses_on_plane(model, images, directions, places, places, done),
        loss=images.loss(model),
        sharpness=sam_sharpness(model, images),
        curvature=largest_curvature(model, images, done=done),
    )


def fixed_images(network: NetworkPredictor, source: ImageSource, most: int) -> FixedImages:
    """Returns the first images of a split, as the network takes them."""
    order = torch.arange(min(most, len(source)), device=source.device)
    labels = torch.split(source.labels[order], LOSS_BATCH)
    pixels = source.batches(order, LOSS_BATCH)
    return FixedImages([(network.normalize(some), one) for some, one in zip(pixels, labels, strict=True)])


def default_convolutions(network: NetworkPredictor) -> list[str]:
    """Returns the first convolution, which sees the image itself."""
    return list(convolutions(network.model))[:1]


def _normalised(network: NetworkPredictor, pixels: NDArray[np.uint8]) -> Tensor:
    return network.normalize(torch.from_numpy(pixels).to(network.device))


def _outputs(
    network: NetworkPredictor, names: Sequence[str], pixels: NDArray[np.uint8]
) -> dict[str, NDArray[np.float32]]:
    with torch.no_grad(), captured(network.model, names) as found:
        network.model(_normalised(network, pixels))
    return {name: output.float().cpu().numpy() for name, output in found.items()}
