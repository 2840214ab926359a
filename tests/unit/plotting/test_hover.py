"""What stands where in a figure, for a page that shows it under the pointer."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from cifar_tune.plotting.files import image_of
from cifar_tune.plotting.hover import MOST_SPOTS, hover_script, name_points, spots_attribute, spots_of
from cifar_tune.plotting.html import figure_element
from cifar_tune.plotting.theme import LIGHT, new_figure


def test_a_spot_stands_where_the_point_is_drawn() -> None:
    """The middle of the dark pixels of a drawn dot."""
    figure, axes = new_figure(5, 4, LIGHT)
    axes.set_axis_off()
    axes.set_xlim(0, 10)
    axes.set_yscale("log")
    axes.set_ylim(1, 1000)
    axes.scatter([3], [10], s=60, color="black")
    name_points(axes, [3], [10], ["t0"])
    dark = imread(BytesIO(image_of(figure)))[:, :, 0] < 0.5
    rows, columns = np.nonzero(dark)
    (spot,) = spots_of(figure)
    assert spot.name == "t0"
    assert (spot.half_width, spot.half_height) == (0, 0)
    assert spot.x == pytest.approx((columns.mean() + 0.5) / dark.shape[1], abs=0.002)
    assert spot.y == pytest.approx((rows.mean() + 0.5) / dark.shape[0], abs=0.002)


def test_a_box_has_its_size_and_what_is_not_finite_has_no_spot() -> None:
    figure, axes = new_figure(5, 4, LIGHT)
    axes.set_xlim(0, 4)
    axes.set_ylim(0, 2)
    name_points(axes, [1, 3, np.nan], [1, 1, 1], ["a", "b", "c"], half=(1, 1))
    image_of(figure)
    first, second = spots_of(figure)
    assert first.x + first.half_width == pytest.approx(second.x - second.half_width)
    assert first.half_height == pytest.approx(axes.bbox.height / figure.bbox.height / 2)


def test_of_many_points_some_are_kept_from_end_to_end() -> None:
    figure, axes = new_figure(5, 4, LIGHT)
    count = 3 * MOST_SPOTS
    name_points(axes, np.arange(count), np.zeros(count), [f"t{place}" for place in range(count)])
    image_of(figure)
    found = spots_of(figure)
    assert (len(found), found[0].name, found[-1].name) == (MOST_SPOTS, "t0", f"t{count - 1}")


def test_a_page_says_each_name_once_and_closes_no_element() -> None:
    figure, axes = new_figure(5, 4, LIGHT)
    name_points(axes, [0, 1], [0, 0], ['</script>"', '</script>"'])
    image = image_of(figure)
    spots = spots_of(figure)
    assert json.loads(spots_attribute(spots))["names"] == ['</script>"']
    element = figure_element((image, image), "what it shows", spots)
    assert "</script>" not in element
    assert "data-spots" not in figure_element((image, image), "what it shows")
    assert hover_script({"t0": "</script>"}).count("</script>") == 2
