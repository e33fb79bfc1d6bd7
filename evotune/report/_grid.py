"""Small multiples: one small plot a hyperparameter, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from evotune.report import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
SHOWN = 24
"""Hyperparameters that are drawn; a figure of more could not be read."""


def small_multiples(
    names: Sequence[str],
    draw: Callable[[str, Axes], object],
    *,
    share_label: bool = False,
) -> Figure:
    """A figure with one small plot for each name, drawn by ``draw(name, axes)``.

    Args:
        names: What to draw, one plot each; the first 24 of more.
        draw: Draws one of them.
        share_label: Whether the label of the y axis is shown in the first column only.
    """
    shown = names[:SHOWN]
    columns = min(COLUMNS, max(1, len(shown)))
    rows = max(1, math.ceil(len(shown) / columns))
    fig, grid = _style.figure(3.2 * columns, 2.15 * rows, nrows=rows, ncols=columns)
    for i, ax in enumerate(grid.flat):
        if i < len(shown):
            draw(shown[i], ax)
            if share_label and i % columns:
                ax.set_ylabel("")
        else:
            ax.set_axis_off()
    if not shown:
        _style.say_empty(grid.flat[0], "No searched hyperparameters")
    if len(names) > SHOWN:
        fig.suptitle(
            f"The first {SHOWN} of {len(names)} hyperparameters",
            fontsize=8,
            color=_style.MUTED,
        )
    return fig
