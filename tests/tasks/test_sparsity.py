"""The share of small weights, of masked members too, is that of their true networks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evotune as et
from evotune import nn
from evotune.tasks import Hyperparameters


def share(variables, threshold):
    """The same in numpy, of a network that has no masked units.

    Biases of attention have two axes and count once they have moved.
    """
    leaves = jax.tree.leaves(variables["params"])
    kernels = [leaf for leaf in leaves if np.ndim(leaf) >= 2 and np.any(leaf)]
    return np.mean(np.abs(np.concatenate([np.ravel(w) for w in kernels])) < threshold)


MODELS = {
    "mlp": (et.models.MLP(), {"width": (3, 7), "depth": (1, 3)}, (6,)),
    "cnn": (
        et.models.CNN(),
        {"channels": (2, 3), "kernel_size": (2, 3), "depth": (1, 2), "width": (3, 4)},
        (4, 4, 1),
    ),
    "transformer": (
        et.models.Transformer(),
        {"width": (4, 8), "heads": (1, 2), "depth": (1, 2)},
        (4, 3),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_masked_units_are_not_counted(name):
    model, sizes, shape = MODELS[name]
    info = et.models.Info(input_shape=shape, num_outputs=3)
    plain = Hyperparameters({each: size for each, (size, _) in sizes.items()})
    sparsity = et.tasks.WeightSparsity(threshold=0.2)

    @jax.jit
    def measure(active):
        hp = {each: nn.Size(active[each], most) for each, (_, most) in sizes.items()}
        network = model.network(Hyperparameters(hp), info)
        variables = network.init(jax.random.key(7))
        return sparsity(network, variables), variables

    active = {each: jnp.asarray(size, jnp.int32) for each, (size, _) in sizes.items()}
    found, variables = measure(active)
    true = share(model.slice(variables, plain, info), 0.2)
    assert 0.05 < true < 0.95
    assert float(found) == pytest.approx(true, abs=1e-6)


def test_a_trained_population_records_the_share_of_its_true_networks():
    task = et.tasks.Classification(
        et.datasets.wine(),
        model=et.models.MLP(depth=1),
        monitor=[et.tasks.WeightSparsity(threshold=0.1)],
    )
    space = et.Space(
        l1=et.Categorical([0.0, 0.5]),
        width=et.Categorical([3, 16]),
        learning_rate=0.01,
        batch_size=16,
        epochs=10,
    )
    grid = et.GridSearch(batch_size=4)
    result = et.tune(task, space, algorithm=grid, n_trials=4, progress=False)
    found = {
        tuple(trial.params.values()): trial.curves["weight_sparsity"]
        for trial in result.trials
    }
    assert all(curve.shape == (10,) for curve in found.values())
    for width in (3, 16):  # a strong penalty makes weights small
        assert found[0.0, width][-1] < 0.4 < 0.7 < found[0.5, width][-1]
    best = result.best.curves["weight_sparsity"][-1]
    assert best == pytest.approx(share(result.best_model().variables, 0.1), abs=1e-6)


def test_nobody_who_did_not_ask_records_it():
    task = et.tasks.Classification(et.datasets.wine(), model=et.models.MLP())
    assert task.sparsity is None
    assert "weight_sparsity" not in task.records


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), True, "small"])
def test_a_threshold_must_be_above_zero(threshold):
    with pytest.raises(et.HyperparameterError, match="finite number above 0"):
        et.tasks.WeightSparsity(threshold=threshold)


def test_two_thresholds_would_share_a_name():
    both = [et.tasks.WeightSparsity(), et.tasks.WeightSparsity(threshold=0.1)]
    with pytest.raises(et.HyperparameterError, match="one WeightSparsity"):
        et.tasks.Classification(et.datasets.wine(), monitor=both)
