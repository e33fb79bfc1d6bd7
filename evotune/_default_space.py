"""`default_space` and `autotune`: a search that needs nothing but data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evotune._errors import HyperparameterError
from evotune._tune import tune

if TYPE_CHECKING:
    from evotune._result import Result
    from evotune.datasets import Dataset
    from evotune.space import Space
    from evotune.tasks import Task

_EXAMPLES = 20_000
"""Examples that a default training looks at, repeats included."""


def default_space(task: Task, **changes: Any) -> Space:
    """A sensible space for ``task``: what it knows by name, in ranges from practice.

    Rates and penalties are searched on the log scale, around the optimiser's own
    defaults; the number of epochs is such that a training sees about 20,000 examples,
    but 5 to 100 epochs; batch sizes are 32 and 128 where the training split has enough
    rows. A model of your own adds dimensions that only you know: pass them along.

    Args:
        task: A `Classification` or `Regression` task.
        **changes: Dimensions or constants that replace or join these; None leaves a
            dimension out.

    Raises:
        HyperparameterError: If ``task`` is not trained on a dataset.

    Reference:
        Bengio (2012), Practical recommendations for gradient-based training of deep
        architectures; Smith (2018), A disciplined approach to neural network
        hyper-parameters.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Classification(et.datasets.wine())
        >>> et.default_space(task, depth=1, dropout=None).names
        ('learning_rate', 'weight_decay', 'label_smoothing', 'width', 'activation')
    """
    from evotune.space import Categorical, Float, Int, Space
    from evotune.tasks import Supervised

    if not isinstance(task, Supervised):
        raise HyperparameterError(
            "default_space needs a task on a dataset, such as "
            f"`et.tasks.Classification(dataset)`, but got {type(task).__name__}. "
            "Write the space of another task yourself: `et.Space(...)`."
        )
    rows = len(task.splits.train)
    sizes = [size for size in (32, 128) if size <= rows // 8] or [max(1, rows // 8)]
    known = {
        "optimizer": "adamw",
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "weight_decay": Float(1e-6, 1e-1, log=True),
        "label_smoothing": Float(0.0, 0.2),
        "batch_size": Categorical(sizes) if len(sizes) > 1 else sizes[0],
        "epochs": min(max(round(_EXAMPLES / rows), 5), 100),
        "channels": Int(8, 32, log=True),
        "width": Int(16, 256, log=True),
        "depth": Int(1, 4),
        "activation": Categorical(["relu", "gelu", "silu", "tanh"]),
        "dropout": Float(0.0, 0.5),
    }
    names = task.names()
    chosen = {name: value for name, value in known.items() if name in names}
    return Space({k: v for k, v in {**chosen, **changes}.items() if v is not None})


def autotune(
    data: Dataset | Task,
    *,
    n_trials: int | None = None,
    timeout: float | None = None,
    seed: int = 0,
    progress: bool = True,
    **changes: Any,
) -> Result:
    """Evolves a network for ``data`` with nothing else given.

    Args:
        data: A dataset, from which a `Classification` or `Regression` task of a
            multilayer perceptron is made, or a task on a dataset.
        n_trials: Trainings; 512 unless there is a ``timeout``.
        timeout: Seconds, compiling included.
        seed: Of all randomness.
        progress: Whether to show a progress bar.
        **changes: Dimensions or constants that replace those of `default_space`.

    Raises:
        ValueError: If the data or a change do not fit; nothing was compiled.

    Example:
        >>> import evotune as et
        >>> result = et.autotune(
        ...     et.datasets.wine(), n_trials=64, epochs=5, width=16, progress=False
        ... )
        >>> result.best_value > 0.9
        True
    """
    from evotune.datasets import Dataset
    from evotune.tasks import Classification, Regression

    if isinstance(data, Dataset):
        kind = Regression if data.class_names is None else Classification
        task: Task = kind(data)
    else:
        task = data
    if n_trials is None and timeout is None:
        n_trials = 512
    return tune(
        task,
        default_space(task, **changes),
        n_trials=n_trials,
        timeout=timeout,
        seed=seed,
        progress=progress,
    )
