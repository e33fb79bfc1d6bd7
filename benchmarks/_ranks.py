"""What losses on many functions say: ranks at each budget, pairs, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks._regret import paired

Losses = Mapping[str, Mapping[str, np.ndarray]]
"""By side and function: f64[S, n], of S seeds, each of n trials in their order."""

SOLVED = 1e-6
"""Losses below count as equal."""

POINTS = 40
"""Of an any-time curve, evenly spread over the logarithm of the evaluations."""


def logs(curves: np.ndarray, times: int = 1) -> np.ndarray:
    """log10 of the best loss so far, f64[S, n], of losses f64[S, times n].

    Args:
        curves: In the order of the trials.
        times: How many trials count as one.
    """
    so_far = np.minimum.accumulate(curves, axis=1)[:, times - 1 :: times]
    return np.log10(np.maximum(so_far, SOLVED))


def summary(
    found: Losses, *, budgets: Sequence[int], to: str
) -> dict[str, dict[str, Any]]:
    """For each budget the ranks of the sides, and how side ``to`` fared beside each.

    Args:
        found: log10 of the best so far, as `logs` gives it; a side that was stopped
            early has no place among the ranks of the budgets beyond.
        budgets: Evaluations.
        to: The side that all others are compared with, pair by pair.

    Returns:
        For each budget ``friedman``, the p-value of there being no difference among the
        sides, and for each side: ``mean_rank`` over functions and seeds, 1 the best;
        ``standard_error`` of it, over functions; ``log10_loss``, the mean over
        functions of the median over seeds; ``against`` the side ``to``: the share of
        pairs that it loses, and Wilcoxon's p-value; ``functions``: the mean rank on
        each.
    """
    return {str(budget): _at(found, budget, to) for budget in budgets}


def _at(found: Losses, budget: int, to: str) -> dict[str, Any]:
    from scipy.stats import friedmanchisquare, rankdata

    last = {
        side: np.stack([curves[:, budget - 1] for curves in functions.values()])
        for side, functions in found.items()
        if all(curves.shape[1] >= budget for curves in functions.values())
    }
    if not last:
        return {}
    ranks = np.asarray(rankdata(np.stack(list(last.values())), axis=0))
    by_function = ranks.mean(axis=2)
    names = list(next(iter(found.values())))
    blocks = ranks.reshape(len(last), -1)
    differ = len(last) > 2 and blocks.shape[1] > 1 and np.ptp(blocks) > 0
    figures: dict[str, Any] = {
        "friedman": float(friedmanchisquare(*blocks).pvalue) if differ else 1.0,
        "sides": {},
    }
    for place, (side, losses) in enumerate(last.items()):
        rank = by_function[place]
        figures["sides"][side] = {
            "mean_rank": float(rank.mean()),
            "standard_error": float(rank.std(ddof=1) / np.sqrt(len(rank)))
            if len(rank) > 1
            else 0.0,
            "log10_loss": float(np.median(losses, axis=1).mean()),
            "against": paired(last[to], losses) if side != to and to in last else None,
            "functions": dict(zip(names, rank.round(2).tolist(), strict=True)),
        }
    return figures


def curves(found: Losses) -> dict[str, dict[str, list[float]]]:
    """Any-time curves: the mean over functions of the median over seeds.

    Returns:
        For each side ``evaluations`` and ``log10_loss`` at each.
    """
    drawn = {}
    for side, functions in found.items():
        medians = [np.median(curve, axis=0) for curve in functions.values()]
        mean = np.mean(medians, axis=0)
        at = np.unique(np.geomspace(1, len(mean), POINTS).round().astype(int))
        drawn[side] = {
            "evaluations": at.tolist(),
            "log10_loss": mean[at - 1].round(3).tolist(),
        }
    return drawn


def table(
    title: str,
    figures: Mapping[str, Any],
    seconds: Mapping[str, float],
    measure: str = "log10 loss",
) -> str:
    """A line for each side, best rank first.

    Args:
        title: Above the sides.
        figures: Of one budget.
        seconds: Of a run of each side.
        measure: What the logarithms are of.
    """
    head = ["rank", "+-", measure, "better", "p", "s a run"]
    lines = [f"{title:32}" + "".join(f"{name:>11}" for name in head)]
    sides = figures.get("sides", {})
    for side in sorted(sides, key=lambda name: sides[name]["mean_rank"]):
        row = sides[side]
        against = row["against"] or {"better": np.nan, "p": np.nan}
        cells = [row["mean_rank"], row["standard_error"], row["log10_loss"]]
        lines.append(
            f"{side:32}"
            + "".join(f"{cell:11.2f}" for cell in [*cells, against["better"]])
            + f"{against['p']:11.1e}{seconds[side]:11.2f}"
        )
    lines.append(f"Friedman's p: {figures.get('friedman', 1.0):.1e}")
    return "\n".join(lines)


def draw(
    figures: Mapping[str, Mapping[str, Any]],
    path: Any,
    measure: str = "log10 of the best loss",
) -> None:
    """Any-time curves, a panel for each kind of function.

    Args:
        figures: By kind, with what `curves` gave as "curves".
        path: Where the picture goes.
        measure: What the logarithms are of.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6 * len(figures), 5), layout="constrained")
    panels = figure.subplots(1, len(figures), squeeze=False)[0]
    for axes, (kind, found) in zip(panels, figures.items(), strict=True):
        for place, (side, curve) in enumerate(found["curves"].items()):
            style = "-" if place < 10 else "--"
            axes.plot(curve["evaluations"], curve["log10_loss"], style, label=side)
        axes.set_title(kind, loc="left")
        axes.set_xlabel("evaluations")
        axes.set_ylabel(measure)
        axes.set_xscale("log")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
