"""`Growth`: what `grow` tried, layer by layer, and what it chose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune._errors import require
from evotune._statistics import standard_error

if TYPE_CHECKING:
    import pandas as pd

    from evotune.tasks import FittedModel


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GrownNetwork:
    """One size of a network, trained on S seeds.

    Attributes:
        sizes: Its plain sizes by name, such as ``{"depth": 1, "width_0": 16}``.
        values: f64[S] value on each seed, in the task's direction; NaN where it
            diverged.
        parameters: How many numbers it trains, as `et.models.describe` counts them.
    """

    sizes: Mapping[str, int]
    values: np.ndarray
    parameters: int

    @property
    def mean(self) -> float:
        """Mean over the seeds; NaN if any diverged."""
        return float(np.mean(self.values))

    @property
    def standard_error(self) -> float:
        """Of the mean, s / sqrt(S); NaN with a single seed, or if any diverged."""
        return standard_error(self.values)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GrowthRound:
    """All widths that were tried for one layer.

    Attributes:
        networks: Narrowest first.
        chosen: The narrowest one near the best mean; None if each of them diverged on
            some seed.
        gain: How much better its mean is than that of the network before; NaN in the
            first round, and without a chosen one.
        added: Whether the layer was kept.
    """

    networks: Sequence[GrownNetwork]
    chosen: GrownNetwork | None
    gain: float
    added: bool

    def __str__(self) -> str:
        if self.chosen is None:
            sizes = listed(self.networks[0].sizes)
            return f"{sizes} and wider left out: every width diverged on some seed"
        said = "kept" if self.added else "left out"
        gain = "" if np.isnan(self.gain) else f", better by {self.gain:.3g}"
        return (
            f"{listed(self.chosen.sizes)} {said}: {self.chosen.mean:.5g}, standard "
            f"error {self.chosen.standard_error:.2g}{gain}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Growth:
    """What `grow` tried and chose; its repr is a table of it.

    Attributes:
        rounds: One for each depth that was tried.
        chosen: The network to use.
        params: All of its hyperparameters, those that were given included.
        test_metrics: f64[S] by name: scores of its trainings on the test split, one a
            seed; empty without a test split.
        metric: What the values are, such as "val_accuracy".
        programs: How many training programs were compiled, over all rounds.
        model: The chosen network as the first seed trained it, which nothing selected:
            a plain Flax module and its variables.
    """

    rounds: Sequence[GrowthRound]
    chosen: GrownNetwork
    params: Mapping[str, Any]
    test_metrics: Mapping[str, np.ndarray]
    metric: str
    programs: int
    model: FittedModel

    @property
    def networks(self) -> list[GrownNetwork]:
        """Everything that was tried, in order."""
        return [network for grown in self.rounds for network in grown.networks]

    @property
    def seeds(self) -> int:
        """Trainings of each network."""
        return len(self.chosen.values)

    def dataframe(self) -> pd.DataFrame:
        """One row a network: sizes, mean, standard error, seeds, parameters, choice.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        pandas = require("pandas", extra="dataframe", purpose="dataframe()")
        return pandas.DataFrame(
            [
                {
                    **network.sizes,
                    "mean": network.mean,
                    "standard_error": network.standard_error,
                    "seeds": len(network.values),
                    "parameters": network.parameters,
                    "chosen_in_round": network is grown.chosen,
                    "chosen": network is self.chosen,
                }
                for grown in self.rounds
                for network in grown.networks
            ]
        )

    def __repr__(self) -> str:
        names = list(dict.fromkeys(n for each in self.networks for n in each.sizes))
        header = ["", *names, self.metric, "std. error", "parameters"]
        table = [header, *(self._row(network, names) for network in self.networks)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            f"Growth: {len(self.networks)} networks, {self.seeds} seeds each, "
            f"{self.programs} program{'s' * (self.programs != 1)} compiled"
        ]
        for row in table:
            cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append("  " + "  ".join(cells))
        lines += [f"  {grown}" for grown in self.rounds]
        lines += self._edges()
        lines += [
            f"  {name} of the chosen: {np.mean(scores):.6g} "
            f"({np.min(scores):.6g} to {np.max(scores):.6g})"
            for name, scores in self.test_metrics.items()
        ]
        return "\n".join(lines)

    def _edges(self) -> list[str]:
        """Advice where the choice lies at the end of what was tried."""
        edges = []
        if any(grown.networks[-1] is self.chosen for grown in self.rounds):
            edges.append("  the widest that was tried is chosen: try wider ones")
        if len(self.rounds) > 1 and self.rounds[-1].added:
            edges.append("  the deepest that was tried is chosen: raise `max_depth`")
        return edges

    def _row(self, network: GrownNetwork, names: Sequence[str]) -> list[str]:
        """Cells of one network; its round's choice has a star, the last choice two."""
        picked = any(network is grown.chosen for grown in self.rounds)
        return [
            "**" if network is self.chosen else "*" * picked,
            *(str(network.sizes.get(name, "")) for name in names),
            f"{network.mean:.5g}",
            f"{network.standard_error:.2g}",
            f"{network.parameters:,}",
        ]


def listed(sizes: Mapping[str, int]) -> str:
    """Sizes as in "depth=2, width_0=16, width_1=8"."""
    return ", ".join(f"{name}={size}" for name, size in sizes.items())
