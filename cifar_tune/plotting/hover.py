"""What a page shows under the pointer: places in a figure, each with a name, and the script that finds the nearest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SPOTS = 3000
"""Of a figure: 100 kB of a page. Of more, evenly spaced ones are kept; the ring shows which one is meant."""
ATTRIBUTE = "_cifar_tune_spots"
"""Of a plot: what `name_points` was told."""


@dataclass(frozen=True)
class Spot:
    """A point, or a box around it, in shares of the figure's width and height from its upper left corner.

    half_width, half_height: 0 for a point.
    """

    x: float
    y: float
    half_width: float
    half_height: float
    name: str


def name_points(
    axes: Axes, x: ArrayLike, y: ArrayLike, names: Sequence[str], half: tuple[float, float] = (0.0, 0.0)
) -> None:
    """Says what stands where in a plot; a page shows it under the pointer, an image file does not.

    x, y: in the plot's own coordinates. half: half the width and height of the box that each stands for.
    """
    told = [*getattr(axes, ATTRIBUTE, ()), (np.column_stack([x, y]).astype(float), tuple(names), half)]
    setattr(axes, ATTRIBUTE, told)


def spots_of(figure: Figure) -> tuple[Spot, ...]:
    """Where the named points are, once the figure was drawn."""
    size = np.array([figure.bbox.width, figure.bbox.height])
    found = []
    for axes in figure.axes:
        for points, names, half in getattr(axes, ATTRIBUTE, ()):
            places = axes.transData.transform(points) / size
            reach = np.abs(axes.transData.transform(points + half) / size - places)
            for (x, y), (width, height), name in zip(places, reach, names, strict=True):
                if np.isfinite([x, y]).all():
                    found.append(Spot(float(x), 1 - float(y), float(width), float(height), name))
    if len(found) <= MOST_SPOTS:
        return tuple(found)
    return tuple(found[place] for place in np.linspace(0, len(found) - 1, MOST_SPOTS).astype(int))


def spots_attribute(spots: Sequence[Spot]) -> str:
    """The spots as JSON: the different names, and for each spot its numbers and the place of its name."""
    names = list(dict.fromkeys(spot.name for spot in spots))
    places = {name: place for place, name in enumerate(names)}
    rows = [
        [round(number, 4) for number in (spot.x, spot.y, spot.half_width, spot.half_height)] + [places[spot.name]]
        for spot in spots
    ]
    return json.dumps({"names": names, "spots": rows}, separators=(",", ":"))


def hover_script(descriptions: Mapping[str, str]) -> str:
    """The script of a page with spots. descriptions: more to say of some names."""
    data = json.dumps(descriptions, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="descriptions">{data}</script>\n<script>{SCRIPT}</script>\n'


SCRIPT = """
const REACH = 24;
const descriptions = JSON.parse(document.getElementById("descriptions").textContent);
for (const figure of document.querySelectorAll("figure[data-spots]")) {
  const { names, spots } = JSON.parse(figure.dataset.spots);
  const image = figure.querySelector("img");
  const [ring, tip] = ["ring", "tip"].map((className) =>
    figure.appendChild(Object.assign(document.createElement("div"), { className, hidden: true })));
  const hide = () => { ring.hidden = tip.hidden = true; };
  const show = (event) => {
    const box = image.getBoundingClientRect();
    let nearest = null, least = REACH;
    for (const spot of spots) {
      const away = Math.hypot(
        Math.max(0, Math.abs(event.clientX - box.left - spot[0] * box.width) - spot[2] * box.width),
        Math.max(0, Math.abs(event.clientY - box.top - spot[1] * box.height) - spot[3] * box.height));
      if (away < least) [nearest, least] = [spot, away];
    }
    if (!nearest) return hide();
    const name = names[nearest[4]];
    const x = box.left + nearest[0] * box.width, y = box.top + nearest[1] * box.height;
    tip.textContent = descriptions[name] ? name + "\\n" + descriptions[name] : name;
    ring.hidden = nearest[2] > 0;
    tip.hidden = false;
    Object.assign(ring.style, { left: x + "px", top: y + "px" });
    const right = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const reach = nearest[3] * box.height + 4, above = y - reach - tip.offsetHeight - 12;
    tip.style.left = Math.max(8, Math.min(x - tip.offsetWidth / 2, right)) + "px";
    tip.style.top = (above > 8 ? above : y + reach + 12) + "px";
  };
  for (const kind of ["pointermove", "pointerdown"]) figure.addEventListener(kind, show);
  figure.addEventListener("pointerleave", hide);
  addEventListener("scroll", hide, { capture: true, passive: true });
}
"""
