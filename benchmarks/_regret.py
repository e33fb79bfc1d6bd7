"""What regrets say: medians, ranks, pairs, and how they fell on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Regrets = Mapping[str, Mapping[str, np.ndarray]]
"""By side and table: f64[S, n], of S seeds after each of n trials."""


def summary(regrets: Regrets, *, to: str) -> dict[str, dict[str, Any]]:
    """For each side its regret, mean rank, curves, and how side ``to`` fared beside it.

    Args:
        regrets: The same tables and seeds on all sides.
        to: The side that all others are compared with, pair by pair.

    Returns:
        For each side: ``regret``, the mean over tables of the median over seeds;
        ``standard_error`` of it, from 400 resamples of the seeds; ``mean_rank`` among
        the sides, 1 the best, over all tables and seeds; ``against`` the other side,
        with the share of pairs that it loses to it and the p-value of Wilcoxon's
        signed-rank test; ``tables``: the regrets of all seeds, and the any-time median.
    """
    last = {
        side: np.stack([curves[:, -1] for curves in tables.values()])
        for side, tables in regrets.items()
    }
    rank = dict(zip(last, _mean_ranks(np.stack(list(last.values()))), strict=True))
    return {
        side: {
            "regret": float(np.median(last[side], axis=1).mean()),
            "standard_error": _standard_error(last[side]),
            "mean_rank": float(rank[side]),
            "against": paired(last[to], last[side]) if side != to else None,
            "tables": {
                name: {
                    "median": float(np.median(curves[:, -1])),
                    "regrets": curves[:, -1].round(5).tolist(),
                    "any_time": np.median(curves, axis=0).round(4).tolist(),
                }
                for name, curves in tables.items()
            },
        }
        for side, tables in regrets.items()
    }


def _mean_ranks(last: np.ndarray) -> np.ndarray:
    """f64[sides] of f64[sides, tables, seeds]; equals share the mean of their ranks."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(last, axis=0)).mean(axis=(1, 2))


def _standard_error(last: np.ndarray, resamples: int = 400) -> float:
    """Of the mean over tables of the medians of f64[tables, seeds], by bootstrap."""
    draw = np.random.default_rng(0)
    tables, seeds = last.shape
    chosen = draw.integers(seeds, size=(resamples, tables, seeds))
    drawn = np.take_along_axis(last[None], chosen, axis=2)
    return float(np.median(drawn, axis=2).mean(axis=1).std())


def paired(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """How often ``ours`` is smaller, f64[tables, seeds] each, and whether by chance."""
    from scipy.stats import wilcoxon

    gap = (theirs - ours).ravel()
    moved = bool(np.any(gap != 0.0))
    return {
        "better": float(np.mean(gap > 0)),
        "equal": float(np.mean(gap == 0)),
        "p": float(wilcoxon(gap).pvalue) if moved else 1.0,
    }


def table(title: str, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each side, a column for each table."""
    names = list(next(iter(figures.values()))["tables"])
    head = ["regret", "+-", "rank", "better", "p", *names]
    lines = [f"{title:28}" + "".join(f"{name:>11}" for name in head)]
    for side, row in figures.items():
        against = row["against"] or {"better": np.nan, "p": np.nan}
        cells = [row["regret"], row["standard_error"], row["mean_rank"]]
        cells += [against["better"]]
        medians = [row["tables"][name]["median"] for name in names]
        lines.append(
            f"{side:28}"
            + "".join(f"{cell:11.3f}" for cell in cells)
            + f"{against['p']:11.1e}"
            + "".join(f"{median:11.3f}" for median in medians)
        )
    return "\n".join(lines)


def draw(figures: Mapping[str, Mapping[str, Mapping[str, Any]]], path: Any) -> None:
    """Any-time curves, a panel for each protocol: the mean over tables of the medians.

    Args:
        figures: By protocol, what `summary` gave.
        path: Where the picture goes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(figures), 4), layout="constrained")
    panels = figure.subplots(1, len(figures), squeeze=False)[0]
    for axes, (protocol, sides) in zip(panels, figures.items(), strict=True):
        for side, row in sides.items():
            curves = [one["any_time"] for one in row["tables"].values()]
            curve = np.mean(curves, axis=0)
            axes.plot(np.linspace(0, 1, len(curve)), curve, label=side)
        axes.set_title(protocol, loc="left")
        axes.set_xlabel("share of the trials")
        axes.set_ylabel("normalised regret")
        axes.set_yscale("log")
        axes.set_ylim(top=10)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
