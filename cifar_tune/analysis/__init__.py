"""Tables in, findings and figures out. Needs neither Ray nor torch."""

from cifar_tune.analysis.heatmap import Heatmap, heatmap
from cifar_tune.analysis.heatmap_figure import draw_heatmap, heatmap_figure
from cifar_tune.analysis.ranking import ranking

__all__ = ["Heatmap", "draw_heatmap", "heatmap", "heatmap_figure", "ranking"]
