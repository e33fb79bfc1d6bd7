"""How fast is a population of small CNNs beside vmap of Flax's, and one alone?

Command:   python -m benchmarks.convolution        (--tiny for seconds, not minutes)
Hardware:  CPU; the committed figures are of two cores.
Time:      about five minutes on two cores; ``--tiny`` takes one.
Result:    benchmarks/results/convolution.json, and the table that it prints.

Windows of 3x3, 16 and 32 channels, 2x2 max pooling, a hidden layer of 64, images of
28x28, batches of 32, Adam, 16 members. evotune runs its engine as `et.tune` does,
evaluation included, once with `et.models.CNN` and once with a user's own Flax module.
The others are Flax and optax by hand, a jitted step a call: `vmap` over the members, on
one device and with one device for each core, and one network alone, which has all
cores to itself. Every side runs in a fresh process, in turns; the median counts.
Figures are milliseconds of a step of one member, after compiling.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks._harness import ROOT, cores, hardware, write_result

CLASSES = 10
RATES = (1e-4, 1e-2)


def evotune_family(options: argparse.Namespace) -> tuple[float, float]:
    """`et.models.CNN` in the engine."""
    from evotune.models import CNN

    return engine(options, CNN())


def evotune_user(options: argparse.Namespace) -> tuple[float, float]:
    """A user's own linen module in the engine."""
    return engine(options, lambda: flax_cnn())


def vmap_steps(options: argparse.Namespace, *, devices: int) -> tuple[float, float]:
    """`vmap` of the plain Flax network, a jitted step of all members a call."""
    import jax
    from jax.sharding import Mesh, PartitionSpec

    jax.config.update("jax_num_cpu_devices", devices)
    init, step = flax_training()
    mesh = Mesh(np.asarray(jax.devices()), ("members",))
    mine, all_ = PartitionSpec("members"), PartitionSpec()
    sharded = jax.shard_map(
        jax.vmap(step, in_axes=(0, 0, None, None)),
        mesh=mesh,
        in_specs=(mine, mine, all_, all_),
        out_specs=mine,
        check_vma=False,
    )
    keys = jax.random.split(jax.random.key(0), options.members)
    rates = np.geomspace(*RATES, options.members).astype(np.float32)
    state = jax.jit(jax.vmap(init))(keys)
    return timed_steps(options, sharded, state, rates, options.members)


def one_alone(options: argparse.Namespace) -> tuple[float, float]:
    """One plain Flax network, a jitted step a call, with all cores."""
    import jax

    init, step = flax_training()
    state = jax.jit(init)(jax.random.key(0))
    return timed_steps(options, step, state, np.float32(1e-3), 1)


SIDES: dict[str, Callable[[argparse.Namespace], tuple[float, float]]] = {
    "evotune, et.models.CNN": evotune_family,
    "evotune, a user's own CNN": evotune_user,
    "vmap of Flax's, one device": functools.partial(vmap_steps, devices=1),
    "vmap of Flax's, a device a core": functools.partial(vmap_steps, devices=cores()),
    "one of Flax's alone": one_alone,
}


def engine(options: argparse.Namespace, model: Any) -> tuple[float, float]:
    """Compile seconds, and seconds of a member's step, of the engine."""
    import jax.numpy as jnp

    import evotune as et
    from evotune._contracts import fresh
    from evotune.engine import Engine

    x, y = images(options)
    held_out = options.batch_size / len(x)
    task = et.tasks.Classification(
        et.datasets.arrays(x, y, name="noise"),
        model=model,
        validation=held_out,
        test=0.0,
    )
    space = et.Space(
        learning_rate=et.Float(*RATES, log=True),
        batch_size=options.batch_size,
        epochs=options.epochs,
    )
    run = Engine(task, space, rows=options.members, trainings=100_000)
    points = np.linspace(0, 1, options.members, dtype=np.float32)[:, None]
    seconds = []
    for first in (0, options.members):
        start = time.perf_counter()
        trials = jnp.arange(first, first + options.members)
        run.submit(fresh(jnp.asarray(points), trials))
        while run.pending:
            run.collect()
        seconds.append(time.perf_counter() - start)
    steps = len(task.splits.train) // options.batch_size * options.epochs
    return seconds[0] - seconds[1], seconds[1] / steps / options.members


def flax_cnn() -> Any:
    """What a user would write."""
    from flax import linen

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            for channels in (16, 32):
                x = linen.relu(linen.Conv(channels, (3, 3))(x))
                x = linen.max_pool(x, (2, 2), strides=(2, 2))
            x = linen.relu(linen.Dense(64)(x.reshape(x.shape[0], -1)))
            return linen.Dense(CLASSES)(x)

    return Net()


def flax_training() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """``init(key)`` and ``step(state, rate, x, y)``, both giving a state, of one."""
    import jax
    import jax.numpy as jnp
    import optax

    module, direction = flax_cnn(), optax.scale_by_adam()

    def init(key: Any) -> Any:
        params = module.init(key, jnp.zeros((1, 28, 28, 1)))
        return params, direction.init(params)

    def loss(params: Any, x: Any, y: Any) -> Any:
        logits = module.apply(params, x)
        cross = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return jnp.mean(cross)

    def step(state: Any, rate: Any, x: Any, y: Any) -> Any:
        params, inner = state
        updates, inner = direction.update(jax.grad(loss)(params, x, y), inner)
        scaled = jax.tree.map(lambda update: -rate * update, updates)
        return optax.apply_updates(params, scaled), inner

    return init, step


def timed_steps(
    options: argparse.Namespace, step: Any, state: Any, rates: Any, members: int
) -> tuple[float, float]:
    """Compile seconds, and seconds of a member's step, of ``step`` called in a loop."""
    import jax

    x, y = images(options)
    batches = [
        (jax.device_put(x[rows]), jax.device_put(y[rows]))
        for rows in np.split(np.arange(len(x)), len(x) // options.batch_size)
    ]
    compiled = jax.jit(step, donate_argnums=0)
    start = time.perf_counter()
    for _ in range(2):  # the second call has its own outputs as inputs
        state = jax.block_until_ready(compiled(state, rates, *batches[0]))
    first = time.perf_counter() - start
    start = time.perf_counter()
    for number in range(options.steps):
        state = compiled(state, rates, *batches[number % len(batches)])
    jax.block_until_ready(state)
    seconds = (time.perf_counter() - start) / options.steps
    return max(0.0, first - 2 * seconds), seconds / members


def images(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Noise around one pattern for each class; the values do not change the time."""
    generator = np.random.default_rng(0)
    count = options.batch_size * (options.batches + 1)
    patterns = generator.normal(size=(CLASSES, 28, 28))
    y = np.arange(count) % CLASSES
    x = patterns[y] + generator.normal(size=(count, 28, 28))
    return x[..., None].astype(np.float32), y.astype(np.int32)


def main() -> None:
    options = parse()
    if options.side:
        compile_seconds, seconds = SIDES[options.side](options)
        print(json.dumps({"compile_seconds": compile_seconds, "ms": 1e3 * seconds}))
        return
    described = hardware()
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
    for _ in range(options.repeats):
        for name in SIDES:
            runs[name].append(alone(name))
            print(f"  {name}: {runs[name][-1]['ms']:.2f} ms", flush=True)
    figures = {
        name: {
            "ms_per_member_step": statistics.median(run["ms"] for run in results),
            "compile_seconds": statistics.median(
                run["compile_seconds"] for run in results
            ),
            "all_ms": [run["ms"] for run in results],
        }
        for name, results in runs.items()
    }
    print(table(figures))
    if not options.tiny:
        settings = {k: v for k, v in vars(options).items() if k != "side"}
        path = write_result(
            "convolution", figures, settings=settings, described=described
        )
        print(f"Written to {path.relative_to(ROOT)}")


def alone(name: str) -> dict[str, float]:
    """Runs a side in a fresh process with the options of this one."""
    command = [sys.executable, "-m", "benchmarks.convolution", *sys.argv[1:]]
    done = subprocess.run(
        [*command, "--side", name],
        cwd=ROOT,
        env={**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table(figures: dict[str, Any]) -> str:
    """A line for each side; how many times evotune's milliseconds of either form."""
    family, user = (figures[name]["ms_per_member_step"] for name in list(figures)[:2])
    lines = [f"{'':34}{'compile s':>10}{'ms':>8}{'x CNN':>8}{'x own':>8}"]
    lines += [
        f"{name:34}{side['compile_seconds']:10.2f}{side['ms_per_member_step']:8.2f}"
        f"{side['ms_per_member_step'] / family:8.2f}"
        f"{side['ms_per_member_step'] / user:8.2f}"
        for name, side in figures.items()
    ]
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=16, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30, help="of the sides by hand")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", choices=list(SIDES), help="run this one, here")
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    if options.tiny:
        options.members, options.batch_size, options.batches = 2, 10, 2
        options.epochs, options.steps, options.repeats = 1, 2, 1
    return options


if __name__ == "__main__":
    main()
