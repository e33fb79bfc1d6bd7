"""Small trainings on the devices at hand, timed: what costs are derived from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from evotune import datasets, models, tasks
from evotune._contracts import fresh
from evotune.engine._costs import Costs
from evotune.engine._devices import local_mesh
from evotune.engine._engine import Engine
from evotune.space import Int, Space

_BATCH, _STEPS, _CLASSES = 64, 20, 10
_SMALL_BATCH = 16
_EPOCHS = 200
"""The most of a training."""
_LEAST_SECONDS = 0.15
"""Of the trainings that are timed, where `_EPOCHS` allow it."""
_REPEATS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A population to time, on noise.

    Attributes:
        name: What it is, in a few words.
        model: What is trained.
        shape: Of one example.
        lanes: Members of one device.
        optimize: Whether it is compiled well, or fast.
        batch_size: Examples of a step.
    """

    name: str
    model: Any
    shape: tuple[int, ...]
    lanes: int
    optimize: bool = True
    batch_size: int = _BATCH


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What an experiment has shown.

    Attributes:
        compile_seconds: To trace and compile its program.
        epoch_seconds: Of one epoch of all its members; the start of a block is not in
            it.
        steps: Of an epoch.
        multiply_adds: Of an epoch of all members of one device.
        windows: Likewise, elements of the windows that convolutions read.
        updates: Likewise, weights that steps move, each counted in every step.
    """

    compile_seconds: float
    epoch_seconds: float
    steps: float
    multiply_adds: float
    windows: float
    updates: float


def mlp(width: int, *, lanes: int, optimize: bool = True) -> Experiment:
    """Two hidden layers of ``width``, for examples of 64 features."""
    return Experiment(
        name=f"MLP {width}-{width}, {lanes} a device" + ", fast" * (not optimize),
        model=models.MLP(width=width, depth=2),
        shape=(64,),
        lanes=lanes,
        optimize=optimize,
    )


def in_small_batches(experiment: Experiment) -> Experiment:
    """The same in more steps, which shows what moving the weights costs."""
    return dataclasses.replace(
        experiment,
        name=f"{experiment.name}, batches of {_SMALL_BATCH}",
        batch_size=_SMALL_BATCH,
    )


def cnn(channels: int, *, lanes: int) -> Experiment:
    """Two stages of one convolution each, for images of 12 x 12."""
    return Experiment(
        name=f"CNN of {channels} channels, {lanes} a device",
        model=models.CNN(channels=channels, width=16),
        shape=(12, 12, 1),
        lanes=lanes,
    )


def run(experiment: Experiment, costs: Costs) -> Measured:
    """Compiles and times an experiment, with the engine that trains all populations.

    An epoch takes the difference between a long training and one of a single epoch,
    each the fastest of some.

    Args:
        experiment: What is timed.
        costs: Any of the devices at hand.
    """
    task = _noise(experiment)
    space = Space(
        epochs=Int(1, _EPOCHS), batch_size=experiment.batch_size, eps=_unseen(1e-8)
    )
    rows = experiment.lanes * local_mesh().size
    engine = Engine(task, space, rows=rows, costs=_forced(costs, experiment))
    seconds = _epoch_seconds(engine)
    sizes = dict(space.constants)
    return Measured(
        compile_seconds=engine.compile_seconds,
        epoch_seconds=seconds,
        steps=task.steps(sizes),
        multiply_adds=experiment.lanes * (task.multiply_adds(sizes) or 0.0),
        windows=experiment.lanes * task.window_elements(sizes),
        updates=experiment.lanes * task.updates(sizes),
    )


def _noise(experiment: Experiment) -> tasks.Classification:
    draws = np.random.default_rng(0)
    rows = _BATCH * (_STEPS + 2)  # two batches are validated on
    x = draws.normal(size=(rows, *experiment.shape)).astype(np.float32)
    y = np.arange(rows) % _CLASSES
    return tasks.Classification(
        datasets.arrays(x, y, name="noise"),
        model=experiment.model,
        validation=2 / (_STEPS + 2),
        test=0.0,
    )


def _unseen(value: float) -> float:
    """``value``, up to a part in a million that no other program has compiled in.

    So that no cache of compiled programs knows it, JAX's own included.
    """
    return value * (1.0 + 1e-6 * float(np.random.default_rng().random()))


def _forced(costs: Costs, experiment: Experiment) -> Costs:
    """Costs by which a plan has the lanes of the experiment, and compiles as it says.

    A step that takes for ever wants as many members as there may be.
    """
    never, at_once = math.inf, 0.0
    well, fast = (at_once, never) if experiment.optimize else (never, at_once)
    return dataclasses.replace(
        costs,
        step_seconds=1e6,
        max_lanes=experiment.lanes,
        compile_seconds=well,
        fast_compile_seconds=fast,
    )


def _epoch_seconds(engine: Engine) -> float:
    short = [_block_seconds(engine, 1) for _ in range(_REPEATS)]
    tried = _block_seconds(engine, 3)
    guess = max((tried - min(short)) / 2, 1e-9)
    more = int(np.clip(math.ceil(_LEAST_SECONDS / guess), 2, _EPOCHS - 1))
    long = [_block_seconds(engine, 1 + more) for _ in range(_REPEATS)]
    return max((min(long) - min(short)) / more, 1e-9)


def _block_seconds(engine: Engine, epochs: int) -> float:
    """Seconds of a block in which all members train for so long."""
    x = engine.space.encode([{"epochs": epochs}] * engine.rows)
    before = engine.profile.train_seconds
    engine.submit(fresh(jnp.asarray(x), jnp.arange(engine.rows)))
    while engine.pending:
        engine.collect()
    return engine.profile.train_seconds - before


def fitted(results: Sequence[Measured]) -> Mapping[str, float]:
    """The seconds of a step, a multiply-add, a window's element and a weight moved.

    They fit best: least squares of relative errors, none of the four negative.

        epoch_seconds ~ steps s + multiply_adds a + windows w + updates u

    Args:
        results: Of several sizes; where none has convolutions, w is left out, and u
            where all batches are of one size, as it could not be told from a.

    Returns:
        By the names that `Costs` has for them.
    """
    from scipy.optimize import nnls

    terms = {
        "step_seconds": [one.steps for one in results],
        "multiply_add_seconds": [one.multiply_adds for one in results],
        "window_seconds": [one.windows for one in results],
    }
    if len({one.steps for one in results}) > 1:
        terms["update_seconds"] = [one.updates for one in results]
    terms = {name: column for name, column in terms.items() if any(column)}
    seconds = np.asarray([one.epoch_seconds for one in results])
    table = np.stack(list(terms.values()), axis=1) / seconds[:, None]
    scale = np.linalg.norm(table, axis=0)
    found, _ = nnls(table / scale, np.ones(len(results)))
    return dict(zip(terms, (found / scale).tolist(), strict=True))
