"""Tables in, findings and figures out. Needs neither Ray nor torch."""

from cifar_tune.analysis.ablation import ablation
from cifar_tune.analysis.ablation_figure import ablation_figure
from cifar_tune.analysis.audit import stopping_audit
from cifar_tune.analysis.comparison import SweepComparison, compare, comparison_figure
from cifar_tune.analysis.confirmation import confirmed
from cifar_tune.analysis.contour import contour_figure
from cifar_tune.analysis.cost import cost, cost_of_accuracy
from cifar_tune.analysis.curves import curves_figure, learning_curves
from cifar_tune.analysis.gap import gap_figure, generalization
from cifar_tune.analysis.heatmaps.heatmap import Heatmap, heatmap
from cifar_tune.analysis.heatmaps.heatmap_figure import draw_heatmap, heatmap_figure
from cifar_tune.analysis.heatmaps.heatmap_grid import HeatmapGrid, heatmap_grid, heatmap_grid_figure
from cifar_tune.analysis.history import history, history_figure
from cifar_tune.analysis.importance import Importance, importance, importance_figure
from cifar_tune.analysis.lr_figure import lr_figure
from cifar_tune.analysis.parallel import parallel_figure
from cifar_tune.analysis.pareto import hypervolume_history, pareto
from cifar_tune.analysis.pareto_figure import hypervolume_figure, pareto_figure
from cifar_tune.analysis.ranking import ranking
from cifar_tune.analysis.rungs import rung_survival
from cifar_tune.analysis.slices import slice_figure
from cifar_tune.analysis.why import why

__all__ = [
    "Heatmap",
    "HeatmapGrid",
    "Importance",
    "SweepComparison",
    "ablation",
    "ablation_figure",
    "compare",
    "comparison_figure",
    "confirmed",
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
    "hypervolume_figure",
    "hypervolume_history",
    "importance",
    "importance_figure",
    "learning_curves",
    "lr_figure",
    "parallel_figure",
    "pareto",
    "pareto_figure",
    "ranking",
    "rung_survival",
    "slice_figure",
    "stopping_audit",
    "why",
]
