"""Where a network looks, laid over the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cifar_tune.inspection.evaluation_figures import show_picture
from cifar_tune.inspection.gradcam import ExpertView
from cifar_tune.plotting.panels import figure_title_block, new_panels
from cifar_tune.plotting.theme import Theme, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAT = "inferno"
"""Even in lightness, so that it shows on pictures in print too."""
OPACITY = 0.55
WIDTH, HEIGHT = 1.75, 2.0
LONGEST = 24
"""Characters above a panel."""


def gradcam_figure(
    pictures: NDArray[np.uint8],
    labels: Sequence[str],
    answers: Sequence[str],
    maps: NDArray[np.float32],
    layer: str,
    theme: Theme,
) -> Figure:
    """Each image, and beside it what spoke for the answer. pictures: (N, C, H, W). maps: (N, h, w)."""
    across = 2 if len(pictures) == 1 else 4
    figure, panels = new_panels(2 * len(pictures), across, WIDTH, HEIGHT, theme)
    pairs = zip(panels[::2], panels[1::2], strict=True)
    for (plain, over), picture, label, answer, heat in zip(pairs, pictures, labels, answers, maps, strict=True):
        show_picture(plain, picture)
        _title(plain, label, theme)
        show_heat(over, picture, heat)
        _title(over, _or_nothing(answer, heat), theme)
    told = f"Grad-CAM at {layer}, {maps.shape[2]} x {maps.shape[1]} places; bright: speaks for the answer"
    figure_title_block(figure, "Where the network looks", told, theme)
    return figure


def experts_figure(
    picture: NDArray[np.uint8], label: str, views: Sequence[ExpertView], layer: str, theme: Theme
) -> Figure:
    """One image: what the gate sees of each of its likeliest superclasses, above, and what the expert sees, below."""
    across = len(views) + 1
    figure, panels = new_panels(2 * across, across, WIDTH, HEIGHT, theme)
    above, below = panels[:across], panels[across:]
    for axes in (above[0], below[0]):
        show_picture(axes, picture)
    _title(above[0], label, theme)
    above[0].set_ylabel("gate", fontsize=8, color=theme.muted)
    below[0].set_ylabel("expert", fontsize=8, color=theme.muted)
    for upper, lower, view in zip(above[1:], below[1:], views, strict=True):
        show_heat(upper, picture, view.gate_map)
        _title(upper, _or_nothing(f"{100 * view.probability:.0f} % {view.superclass}", view.gate_map), theme)
        show_heat(lower, picture, view.expert_map)
        _title(lower, _or_nothing(f"{100 * view.within:.0f} % {view.likeliest}", view.expert_map), theme)
    told = f"Grad-CAM at {layer}; above: gate and probability, below: the expert's own class"
    figure_title_block(figure, "Which expert looks where", told, theme)
    return figure


def show_heat(axes: Axes, picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> None:
    """Draws a picture, (C, H, W), in grey under a map of any size, (h, w), scaled by its largest value."""
    grey = picture.mean(0)
    size = grey.shape[0]
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=(0, size, size, 0))
    extent = (0, size, size, 0)
    axes.imshow(
        heat, cmap=HEAT, vmin=0, vmax=float(heat.max()) or 1.0, alpha=OPACITY, extent=extent, interpolation="bilinear"
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _or_nothing(said: str, heat: NDArray[np.float32]) -> str:
    """What was said, and whether nothing in the picture speaks for it."""
    nothing = "" if heat.any() else " (nothing)"
    return shortened(said, LONGEST - len(nothing)) + nothing


def _title(axes: Axes, text: str, theme: Theme) -> None:
    axes.set_title(shortened(text, LONGEST), fontsize=7.5, color=theme.foreground, pad=3, loc="left")
