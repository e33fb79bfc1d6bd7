"""Does the search find the learning rate that exact gradients find, and a fine grid?

Command:   python -m benchmarks.metalearned_rate          (--tiny for half a minute)
Hardware:  CPU; the committed figures are of two cores.
Time:      about a minute on two cores.
Result:    benchmarks/results/metalearned_rate.json, and the table that it prints.

The case of Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D" (2024): an
MLP 40-50-10 with tanh, 200 steps of SGD, batches of 50 in the order of the data. What
is minimised is the mean of the losses over all steps. They found a rate of 0.62 and a
loss of 1.716 by gradients through the whole training, with one set of initial weights;
here several sets, drawn as PyTorch draws them. Three searches for each set:

    gradient  as published: 50 steps of 0.3 times the gradient of that mean, from 0.15
              and from 1.5, the better end of the two; each step is one jitted program
    grid      400 rates from 0.01 to 10, evenly on the log scale, all in one program
    evotune   the genetic algorithm, 96 trainings in the same range, as an `et.Task`
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import evotune as et
from benchmarks._harness import cores, hardware, write_result

INPUTS, HIDDEN, OUTPUTS = 40, 50, 10
RANGE = (0.01, 10.0)
PUBLISHED = {"learning_rate": 0.62, "loss": 1.716}


def linear(key: jax.Array, inputs: int, outputs: int) -> dict[str, jax.Array]:
    """Weights and biases as PyTorch draws them: uniform within 1 / sqrt(inputs)."""
    limit = inputs**-0.5
    first, second = jax.random.split(key)
    return {
        "w": jax.random.uniform(first, (inputs, outputs), None, -limit, limit),
        "b": jax.random.uniform(second, (outputs,), None, -limit, limit),
    }


def initial(seed: int) -> dict[str, dict[str, jax.Array]]:
    """The network before training."""
    keys = jax.random.split(jax.random.key(seed))
    return {
        "hidden": linear(keys[0], INPUTS, HIDDEN),
        "output": linear(keys[1], HIDDEN, OUTPUTS),
    }


def loss(params: Any, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Mean cross-entropy of a batch."""
    x, y = batch
    hidden = jnp.tanh(x @ params["hidden"]["w"] + params["hidden"]["b"])
    logits = hidden @ params["output"]["w"] + params["output"]["b"]
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, y))


def sgd_step(params: Any, rate: jax.Array, batch: Any) -> tuple[Any, jax.Array]:
    """The next parameters, and the loss before the step."""
    value, slope = jax.value_and_grad(loss)(params, batch)
    return jax.tree.map(lambda p, g: p - rate * g, params, slope), value


def batches(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """f32[S, B, 40] and i32[S, B], in the order of the data, over and over."""
    data = et.datasets.mnist1d()
    rows = np.arange(options.steps * options.batch_size) % len(data.x)
    shape = (options.steps, options.batch_size)
    return data.x[rows].reshape(*shape, INPUTS), data.y[rows].reshape(shape)


def mean_loss(rate: jax.Array, params: Any, data: Any) -> jax.Array:
    """What all three minimise, of one training."""
    step = lambda now, batch: sgd_step(now, rate, batch)  # noqa: E731
    return jnp.mean(jax.lax.scan(step, params, data)[1])


class Training(et.Task):
    """The same training, step by step, as a task of evotune: one epoch."""

    metric, direction = "mean_loss", "minimize"
    epochs = 1

    def __init__(self, data: tuple[np.ndarray, np.ndarray], params: Any):
        """Of batches and initial parameters."""
        self._data, self._params = data, params
        self.steps_per_epoch = len(data[0])

    def data(self) -> Any:
        """The batches and where training starts: the same for all members."""
        return {"batches": self._data, "params": self._params}

    def init(self, data: Any) -> Any:
        """Parameters, the step, and the sum of the losses so far."""
        return {"params": data["params"], "step": jnp.int32(0), "sum": jnp.float32(0)}

    def step(self, hp: Any, state: Any, data: Any) -> Any:
        """One step of SGD on the next batch."""
        batch = jax.tree.map(lambda rows: rows[state["step"]], data["batches"])
        params, value = sgd_step(state["params"], hp.learning_rate, batch)
        total = state["sum"] + value
        state = {"params": params, "step": state["step"] + 1, "sum": total}
        return state, {"train_loss": value}

    def evaluate(self, state: Any) -> dict[str, jax.Array]:
        """The mean of all losses."""
        return {"mean_loss": state["sum"] / self.steps_per_epoch}


def by_gradient(params: Any, data: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Gradient descent on the rate, through the whole training, from two starts."""
    descend = jax.jit(jax.value_and_grad(mean_loss))
    start = time.perf_counter()
    ends = []
    for rate in (jnp.float32(0.15), jnp.float32(1.5)):
        for _ in range(options.outer_steps):
            rate -= 0.3 * descend(rate, params, data)[1]
        ends.append((float(descend(rate, params, data)[0]), float(rate)))
    value, rate = min(ends)
    trainings = 2 * options.outer_steps
    return outcome(rate, value, start, trainings)


def by_grid(params: Any, data: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Every rate of a fine grid, at once."""
    rates = np.geomspace(*RANGE, options.grid).astype(np.float32)
    start = time.perf_counter()
    losses = jax.jit(jax.vmap(mean_loss, in_axes=(0, None, None)))(rates, params, data)
    best = int(jnp.nanargmin(losses))
    return outcome(float(rates[best]), float(losses[best]), start, options.grid)


def by_evotune(
    params: Any, data: Any, options: argparse.Namespace, seed: int
) -> dict[str, Any]:
    """The genetic algorithm."""
    start = time.perf_counter()
    result = et.tune(
        Training(data, params),
        et.Space(learning_rate=et.Float(*RANGE, log=True)),
        algorithm=et.GeneticAlgorithm(population_size=options.population),
        generations=options.generations,
        seed=seed,
        progress=False,
    )
    rate = result.best_params["learning_rate"]
    return outcome(rate, result.best_value, start, len(result.trials))


def outcome(rate: float, value: float, start: float, trainings: int) -> dict[str, Any]:
    """What a search found, and what it took, compiling included."""
    return {
        "learning_rate": rate,
        "loss": value,
        "trainings": trainings,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    options = parse()
    jax.config.update("jax_num_cpu_devices", cores())
    described = hardware()
    data = batches(options)
    runs: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        params = initial(seed)
        run = {
            "gradient": by_gradient(params, data, options),
            "grid": by_grid(params, data, options),
            "evotune": by_evotune(params, data, options, seed),
        }
        runs.append({"seed": seed, **run})
        for name, found in run.items():
            print(
                f"weights {seed}  {name:8}  rate {found['learning_rate']:.4f}  "
                f"loss {found['loss']:.4f}  {found['trainings']:4} trainings  "
                f"{found['seconds']:6.2f} s",
                flush=True,
            )
    away = [
        abs(run["evotune"]["learning_rate"] / run["grid"]["learning_rate"] - 1)
        for run in runs
    ]
    figures = {
        "published": PUBLISHED,
        "furthest_from_grid": max(away),
        "median_from_grid": statistics.median(away),
        "runs": runs,
    }
    print(
        f"evotune's rate is within {100 * max(away):.1f} % of the grid's "
        f"(median {100 * statistics.median(away):.1f} %)"
    )
    if not options.tiny:
        path = write_result(
            "metalearned_rate", figures, settings=vars(options), described=described
        )
        print(f"Written to {path.relative_to(path.parents[2])}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--grid", type=int, default=400)
    parser.add_argument("--outer-steps", type=int, default=50)
    parser.add_argument("--population", type=int, default=16)
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--tiny", action="store_true", help="half a minute")
    options = parser.parse_args()
    if options.tiny:
        options.seeds, options.steps, options.grid, options.outer_steps = 1, 5, 4, 2
        options.population, options.generations = 4, 2
    return options


if __name__ == "__main__":
    main()
