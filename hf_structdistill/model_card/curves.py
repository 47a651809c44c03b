"""The training curves of a card: what a trainer logged, a panel a component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_NOT_CURVES = {"epoch", "step", "num_tokens", "learning_rate", "grad_norm", "structure_strength"}


def training_curves(log_history: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Component -> list of (step, value), of what a trainer logged during training."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for entry in log_history:
        if any(name.endswith("_runtime") for name in entry):  # of an evaluation (by its name), or of the whole run
            continue
        for name, value in entry.items():
            if name not in _NOT_CURVES:
                curves.setdefault(name, []).append((entry["step"], float(value)))
    return curves


def draw_curves(curves: Mapping[str, Any], path: Path) -> bool:
    """Draw one panel a component into a PNG; False when there is nothing to draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: dict[str, dict[str, list[Any]]] = {}
    for key, value in curves.items():
        if isinstance(value, Mapping):
            for component, points in value.items():
                panels.setdefault(str(component), {})[str(key)] = list(points)
        else:
            panels.setdefault(str(key), {})[""] = list(value)
    panels = {component: lines for component, lines in panels.items() if any(lines.values())}
    if not panels:
        return False
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.5 * rows), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (component, lines) in zip(axes, panels.items(), strict=False):
        for run, points in lines.items():
            axis.plot([x for x, _ in points], [y for _, y in points], label=run or None, linewidth=1.3)
        axis.set_title(component, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        if len(lines) > 1:
            axis.legend(fontsize=7, frameon=False)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    inch = {"left": 0.6 / (3.6 * columns), "bottom": 0.5 / (2.5 * rows), "top": 1 - 0.3 / (2.5 * rows)}
    figure.subplots_adjust(right=1 - 0.15 / (3.6 * columns), wspace=0.24, hspace=0.42, **inch)
    figure.savefig(path, metadata={"Software": None})
    return True
