"""What does a mixed population cost beside a program written by hand for each case?

Command:   python -m benchmarks.mixed              (--tiny for seconds, not minutes)
Hardware:  CPU; the committed figures are of two cores.
Time:      about 15 minutes on two cores; ``--tiny`` takes one.
Result:    benchmarks/results/mixed.json, and the table that it prints.

Digits, random search over width 16 to 256, depth 1 to 4, batches of 32 to 256, four
activations, six schedules, three optimisers and 5 to 40 epochs. evotune trains all of
it with one call of `et.tune`, compiling included. Beside it stands the sum of what each
training would cost in a population of its own kind, in the hand-written form of
`benchmarks/rivals/handwritten.py` for that width, depth, batch size, activation,
schedule and optimiser alone, with compiling free: nothing can be padded less. Programs
compile while others train, so seconds in blocks of trainings stand beside those of all.

That sum is estimated from a sample of the trainings that evotune made, drawn with
probability in proportion to expected cost (Hansen and Hurwitz 1943), each measured as
the median of three runs of its own program; the standard error of the sum is given.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._harness import (
    ROOT,
    Data,
    compiler_options,
    cores,
    data_orders,
    digits,
    hardware,
    write_result,
)
from benchmarks.rivals.handwritten import CACHE_BYTES

ACTIVATIONS = ("relu", "gelu", "tanh", "silu")
SCHEDULES = ("constant", "linear", "cosine", "exponential", "step", "polynomial")
OPTIMIZERS = ("adam", "sgd", "lion")
BATCHES = (32, 64, 128, 256)
CLASSES = 10


def evotune_side(options: argparse.Namespace) -> dict[str, Any]:
    """One call of `et.tune`; the trainings that it made go with the figures."""
    import evotune as et

    task = et.tasks.Classification(et.datasets.digits(), model=et.models.MLP())
    sizes = {"width": et.Int(16, 256, log=True), "depth": et.Int(1, 4)}
    if options.tiny:
        sizes = {"width": et.Int(8, 16, log=True), "depth": et.Int(1, 2)}
    space = et.Space(
        learning_rate=et.Float(1e-4, 1e-1, log=True),
        **sizes,
        batch_size=et.Categorical(list(BATCHES[:2] if options.tiny else BATCHES)),
        activation=et.Categorical(list(ACTIVATIONS)),
        schedule=et.Categorical(list(SCHEDULES)),
        optimizer=et.Categorical(list(OPTIMIZERS)),
        epochs=et.Int(1, 2) if options.tiny else et.Int(5, 40),
    )
    count = options.trainings[0]
    start = time.perf_counter()
    result = et.tune(
        task,
        space,
        algorithm=et.RandomSearch(batch_size=count),
        n_trials=count,
        seed=options.seed,
        progress=False,
    )
    seconds = time.perf_counter() - start
    print(result.profile, file=sys.stderr)
    configs = [{**space.constants, **trial.params} for trial in result.trials]
    work = [(task.multiply_adds(config) or 0.0) for config in configs]
    return {
        "seconds": seconds,
        "compile_seconds": result.seconds["compile"],
        "block_seconds": result.profile.train_seconds,
        "programs": len(result.plan.programs),
        "utilisation": result.profile.utilisation,
        "plan_seconds": result.plan.compile_seconds + result.plan.run_seconds,
        "configs": configs,
        "work": work,
    }


def alone_side(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds a training of each configuration given, in a program of its own kind."""
    import jax

    jax.config.update("jax_num_cpu_devices", cores())
    configs = json.loads(options.configs.read_text(encoding="utf-8"))
    data = digits(options.seed)
    seconds = []
    for number, config in enumerate(configs):
        seconds.append(homogeneous_seconds(config, data, options))
        print(f"{number + 1}/{len(configs)}", file=sys.stderr, flush=True)
    return {"seconds": seconds}


def homogeneous_seconds(
    config: Mapping[str, Any], data: Data, options: argparse.Namespace
) -> float:
    """Seconds of one training, where all lanes train its kind, after compiling."""
    import jax
    from jax.sharding import Mesh, PartitionSpec

    devices = jax.local_devices()
    parameters = _parameters(config, data.x_train.shape[1])
    block = int(min(max(CACHE_BYTES // (12 * parameters), 1), 16))
    epochs = 1 if options.tiny else 2
    orders = data_orders(
        options.seed,
        samples=len(data.x_train),
        epochs=epochs,
        batch_size=config["batch_size"],
    )
    total = config["epochs"] * orders.shape[1]
    init, step, accuracy = training(config, total)

    def train(rates: jax.Array, keys: jax.Array, *arrays: jax.Array) -> jax.Array:
        orders, x_train, y_train, x_valid, y_valid = arrays

        def one_step(state: Any, rows: jax.Array) -> tuple[Any, None]:
            x, y = x_train[rows], y_train[rows]
            update = jax.vmap(lambda rate, given: step(rate, given, x, y))
            return update(rates, state), None

        def epoch(state: Any, order: jax.Array) -> tuple[Any, jax.Array]:
            state, _ = jax.lax.scan(one_step, state, order)
            return state, jax.vmap(lambda given: accuracy(given, x_valid, y_valid))(
                state
            )

        state = jax.vmap(lambda key, rate: init(key, rate, x_train[:1]))(keys, rates)
        return jax.lax.scan(epoch, state, orders)[1].T

    members, shared = PartitionSpec("members"), PartitionSpec()
    program = jax.jit(
        jax.shard_map(
            train,
            mesh=Mesh(np.asarray(devices), ("members",)),
            in_specs=(members, members, *[shared] * 5),
            out_specs=members,
            check_vma=False,
        )
    )
    lanes = block * len(devices)
    arguments = (
        np.full((lanes,), config["learning_rate"], np.float32),
        jax.random.split(jax.random.key(options.seed), lanes),
        *(orders, data.x_train, data.y_train, data.x_valid, data.y_valid),
    )
    compiled = program.lower(*arguments).compile(compiler_options=compiler_options())
    arguments = jax.device_put(arguments, compiled.input_shardings[0])
    jax.block_until_ready(compiled(*arguments))
    runs = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        runs.append(time.perf_counter() - start)
    return float(statistics.median(runs) / epochs * config["epochs"] / lanes)


def training(
    config: Mapping[str, Any], total: int
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """``init``, ``step`` and ``accuracy`` of one member, in plain Flax and optax."""
    import flax.linen as nn
    import jax
    import jax.numpy as jnp
    import optax

    act = getattr(nn, config["activation"])

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for _ in range(config["depth"]):
                x = act(nn.Dense(config["width"])(x))
            return nn.Dense(CLASSES)(x)

    network = Network()
    shapes = {
        "constant": optax.constant_schedule(1.0),
        "linear": optax.linear_schedule(1.0, 0.0, total),
        "cosine": optax.cosine_decay_schedule(1.0, total),
        "exponential": optax.exponential_decay(1.0, total, 0.01),
        "step": optax.exponential_decay(1.0, max(total // 4, 1), 0.5, staircase=True),
        "polynomial": optax.polynomial_schedule(1.0, 0.0, 2.0, total),
    }
    shape = shapes[config["schedule"]]

    def optimizer(rate: Any) -> optax.GradientTransformation:
        make = getattr(optax, config["optimizer"])
        return make(lambda count: rate * shape(count))

    def loss(variables: Any, x: Any, y: Any) -> Any:
        logits = network.apply(variables, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def init(key: Any, rate: Any, x: Any) -> Any:
        variables = network.init(key, x)
        return variables, optimizer(rate).init(variables), rate

    def step(rate: Any, state: Any, x: Any, y: Any) -> Any:
        variables, inner, _ = state
        gradients = jax.grad(loss)(variables, x, y)
        updates, inner = optimizer(rate).update(gradients, inner, variables)
        return optax.apply_updates(variables, updates), inner, rate

    def accuracy(state: Any, x: Any, y: Any) -> Any:
        logits = jnp.asarray(network.apply(state[0], x))
        return jnp.mean(logits.argmax(axis=-1) == y, dtype=jnp.float32)

    return init, step, accuracy


def _parameters(config: Mapping[str, Any], features: int) -> int:
    width, depth = config["width"], config["depth"]
    hidden = (features + 1) * width + (depth - 1) * (width + 1) * width
    return int(hidden + (width + 1) * CLASSES)


def sum_alone(
    ours: Mapping[str, Any], options: argparse.Namespace
) -> tuple[float, float]:
    """Seconds of all trainings in programs of their own kind, and their error."""
    configs = ours["configs"]
    epochs = np.asarray([config["epochs"] for config in configs])
    steps = np.asarray([1440 // config["batch_size"] for config in configs])
    cost = epochs * (np.asarray(ours["work"]) * 4.5e-11 + steps * 1e-5)
    chances = cost / cost.sum()
    picked = np.random.default_rng(0).choice(
        len(configs), options.sample, p=chances, replace=True
    )
    different, back = np.unique(picked, return_inverse=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "configs.json"
        path.write_text(json.dumps([configs[i] for i in different]), encoding="utf-8")
        measured = alone("hand-written", ["--configs", str(path)])["seconds"]
    estimates = np.asarray(measured)[back] / chances[picked]
    error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    return float(np.mean(estimates)), float(error)


def alone(side: str, more: Sequence[str]) -> dict[str, Any]:
    """Runs a side in a fresh process with the options of this one."""
    command = [sys.executable, "-m", "benchmarks.mixed", *sys.argv[1:]]
    done = subprocess.run(
        [*command, "--side", side, *more],
        cwd=ROOT,
        env={**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{side} failed; what it printed stands above.")
    return dict(json.loads(done.stdout.splitlines()[-1]))


SIDES = {"evotune": evotune_side, "hand-written": alone_side}


def main() -> None:
    options = parse()
    if options.side:
        print(json.dumps(SIDES[options.side](options)))
        return
    described, figures = hardware(), {}
    for count in options.trainings:
        runs = [
            alone("evotune", ["--trainings", str(count)])
            for _ in range(options.repeats)
        ]
        middle = statistics.median_low([run["seconds"] for run in runs])
        ours = next(run for run in runs if run["seconds"] == middle)
        total, error = sum_alone(ours, options)
        kept = {k: v for k, v in ours.items() if k not in ("configs", "work")}
        figures[f"trainings_{count}"] = {
            "evotune": {**kept, "all_seconds": [run["seconds"] for run in runs]},
            "hand_written_sum_seconds": total,
            "hand_written_sum_standard_error": error,
            "times_the_sum": ours["seconds"] / total,
            "times_in_blocks": ours["block_seconds"] / total,
        }
        print(table(count, figures[f"trainings_{count}"]), flush=True)
    if not options.tiny:
        hidden = ("side", "configs")
        settings = {k: v for k, v in vars(options).items() if k not in hidden}
        path = write_result("mixed", figures, settings=settings, described=described)
        print(f"Written to {path.relative_to(ROOT)}")


def table(count: int, found: Mapping[str, Any]) -> str:
    """The figures of one number of trainings."""
    ours = found["evotune"]
    return (
        f"{count} trainings: {ours['seconds']:.1f} s in {ours['programs']} programs, "
        f"{ours['compile_seconds']:.1f} s of it compiling, lanes used "
        f"{ours['utilisation']:.0%}\n"
        f"  each in a program of its own kind, compiling free: "
        f"{found['hand_written_sum_seconds']:.1f} s "
        f"+- {found['hand_written_sum_standard_error']:.1f}\n"
        f"  {found['times_the_sum']:.2f} times the sum, "
        f"{found['times_in_blocks']:.2f} times in blocks of trainings alone"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trainings", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--sample", type=int, default=60, help="measured by hand")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--configs", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.trainings, options.sample, options.repeats = [8], 2, 1
    return options


if __name__ == "__main__":
    main()
