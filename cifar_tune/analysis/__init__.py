"""Tables in, findings and figures out. Needs neither Ray nor torch."""

from cifar_tune.analysis.ablation import ablation
from cifar_tune.analysis.ablation_figure import ablation_figure
from cifar_tune.analysis.comparison import SweepComparison, compare, comparison_figure
from cifar_tune.analysis.contour import contour_figure
from cifar_tune.analysis.cost import cost, cost_of_accuracy
from cifar_tune.analysis.curves import curves_figure, learning_curves
from cifar_tune.analysis.gap import gap_figure, generalization
from cifar_tune.analysis.heatmaps.heatmap import Heatmap, heatmap
from cifar_tune.analysis.heatmaps.heatmap_figure import draw_heatmap, heatmap_figure
from cifar_tune.analysis.heatmaps.heatmap_grid import HeatmapGrid, heatmap_grid, heatmap_grid_figure
from cifar_tune.analysis.history import history, history_figure
from cifar_tune.analysis.parallel import parallel_figure
from cifar_tune.analysis.ranking import ranking
from cifar_tune.analysis.slices import slice_figure

__all__ = [
    "Heatmap",
    "HeatmapGrid",
    "SweepComparison",
    "ablation",
    "ablation_figure",
    "compare",
    "comparison_figure",
    "contour_figure",
    "cost",
    "cost_of_accuracy",
    "curves_figure",
    "draw_heatmap",
    "gap_figure",
    "generalization",
    "heatmap",
    "heatmap_figure",
    "heatmap_grid",
    "heatmap_grid_figure",
    "history",
    "history_figure",
    "learning_curves",
    "parallel_figure",
    "ranking",
    "slice_figure",
]
