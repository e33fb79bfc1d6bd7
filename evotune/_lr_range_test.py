"""`lr_range_test`: which learning rates work, before anything else is tuned."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from evotune._errors import check_one_objective
from evotune._tune import tune

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from evotune._result import Result
    from evotune.report import LearningRates
    from evotune.space import Float
    from evotune.tasks import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearningRateRange:
    """What a range test found.

    Attributes:
        suggestion: The learning rate that got furthest.
        low: The lowest learning rate that makes 80 % of its progress.
        high: The highest one.
        data: Every learning rate with its score.
        result: The search behind it, with all learning curves.
    """

    suggestion: float
    low: float
    high: float
    data: LearningRates = dataclasses.field(repr=False)
    result: Result = dataclasses.field(repr=False)

    @property
    def dimension(self) -> Float:
        """``Float(low, high, log=True)``, to search in.

        Raises:
            ValueError: If a single learning rate works; test more of them.
        """
        from evotune.space import Float

        if self.low == self.high:
            raise ValueError(
                f"a range needs two learning rates that work, but only {self.low:.3g} "
                "does. Test more of them, closer together: "
                f"`lr_range_test(task, low={self.low / 10:.1g}, "
                f"high={self.low * 10:.1g})`."
            )
        return Float(self.low, self.high, log=True)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draws the score over the learning rate.

        Args:
            ax: Axes to draw on; those of a new figure by default.
        """
        from evotune.report import plot_learning_rates

        return plot_learning_rates(self.data, ax=ax)

    def __str__(self) -> str:
        return (
            f"learning rate {self.suggestion:.2g} gets furthest in {self.data.metric}; "
            f"{self.low:.2g} to {self.high:.2g} work"
        )


def lr_range_test(
    task: Task,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    points: int = 64,
    epochs: int = 1,
    metric: str | None = None,
    seed: int = 0,
    progress: bool = False,
    **constants: Any,
) -> LearningRateRange:
    """Trains the same network with many learning rates at once, and suggests some.

    Differs from the test in the paper, which raises the rate in the course of a single
    training: here each rate has a training of its own, all in one program, so that a
    rate's score does not depend on what the rates before it did.

    Args:
        task: What is trained.
        low: The smallest learning rate, > 0.
        high: The largest.
        points: Learning rates, evenly spaced on the log scale.
        epochs: Epochs of each training.
        metric: A recorded metric to compare by; "val_loss" where there is one.
        seed: Of initial values and of the order of the data.
        progress: Whether to show a progress bar.
        **constants: Other hyperparameters, such as ``optimizer="sgd"``.

    Raises:
        ValueError: If the bounds or a constant does not fit; nothing was compiled.
        AllDivergedError: If no learning rate works; ``low`` is too high.

    Reference:
        Smith (2017), Cyclical learning rates for training neural networks, section 3.3.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Classification(et.datasets.digits(), model=et.models.MLP())
        >>> found = et.lr_range_test(task, points=16, width=16)
        >>> found.low <= found.suggestion <= found.high
        True
    """
    from evotune.algorithms import GridSearch
    from evotune.report import learning_rates
    from evotune.space import Float, Space

    check_one_objective(getattr(task, "objectives", ()), "lr_range_test()")
    searched = Float(low, high, log=True)
    space = Space({"learning_rate": searched, "epochs": epochs, **constants})
    result = tune(
        task,
        space,
        algorithm=GridSearch(levels=points, batch_size=points),
        n_trials=points,
        seed=seed,
        progress=progress,
    )
    if metric is None and "val_loss" in result.best.curves:
        metric = "val_loss"
    data = learning_rates(result, metric)
    return LearningRateRange(
        suggestion=data.best, low=data.low, high=data.high, data=data, result=result
    )
