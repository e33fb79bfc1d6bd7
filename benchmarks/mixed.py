"""What does a mixed population cost beside a program written by hand for each case?

Command:   python -m benchmarks.mixed              (--tiny for seconds, not minutes)
Hardware:  CPU; the committed figures are of two cores.
Time:      about 15 minutes on two cores; ``--tiny`` takes one.
Result:    benchmarks/results/mixed.json, and the table that it prints.

Digits, random search over width 16 to 256, depth 1 to 4, batches of 32 to 256, four
activations, six schedules, three optimisers and 5 to 40 epochs. evotune trains all of
it with one call of `et.tune`, compiling included. Beside it stands the sum of what each
training would cost in a population of its own kind, in a program by hand
(`benchmarks/rivals/_mixed.py`) for that width, depth, batch size, activation, schedule
and optimiser alone, with compiling free: nothing can be padded less. It trains as many
members at once as the cache holds, and where that is one, two if that is faster.
Programs compile while others train, so seconds in blocks of trainings stand beside
those of all. And there is what people write in an Optuna study, without its own share:
jitted steps that gather and donate and never wait, a training at a time on each device,
compiled for each, as hardly two are alike.

Both are estimated from a sample of the trainings that evotune made, drawn with
probability in proportion to expected cost, for the steps half of them evenly (Hansen
and Hurwitz 1943). A program by hand counts as the median of three runs, steps as two of
the training's epochs; the standard error of the sum is given.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._harness import (
    ROOT,
    cores,
    digits,
    hardware,
    write_result,
)

ACTIVATIONS = ("relu", "gelu", "tanh", "silu")
SCHEDULES = ("constant", "linear", "cosine", "exponential", "step", "polynomial")
OPTIMIZERS = ("adam", "sgd", "lion")
BATCHES = (32, 64, 128, 256)


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
    from benchmarks.rivals._mixed import homogeneous_seconds

    data, timed = digits(options.seed), {"seed": options.seed, "epochs": options.timed}
    seconds = []
    for number, config in enumerate(configs_of(options)):
        seconds.append(homogeneous_seconds(config, data, **timed))
        print(f"{number + 1} by hand", file=sys.stderr, flush=True)
    return {"seconds": seconds}


def steps_side(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds a training of each configuration given, jitted steps on each device."""
    import jax

    jax.config.update("jax_num_cpu_devices", cores())
    from benchmarks.rivals._mixed import seconds_in_steps

    data, timed = digits(options.seed), {"seed": options.seed, "epochs": options.timed}
    free: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for device in jax.local_devices():
        free.put(device)

    def measured(config: Mapping[str, Any]) -> tuple[float, float]:
        device = free.get()
        try:
            return seconds_in_steps(config, data, device, **timed)
        finally:
            free.put(device)
            print("one in steps", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(cores()) as pool:
        pairs = list(pool.map(measured, configs_of(options)))
    seconds, compiling = np.transpose(pairs) / cores()
    return {"seconds": seconds.tolist(), "compile_seconds": compiling.tolist()}


def configs_of(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The configurations that a side is to time."""
    return list(json.loads(options.configs.read_text(encoding="utf-8")))


def sums(
    ours: Mapping[str, Any], options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Seconds of all trainings on the other sides, and their standard errors."""
    configs = ours["configs"]
    epochs = np.asarray([config["epochs"] for config in configs])
    steps = np.asarray([1440 // config["batch_size"] for config in configs])
    cost = epochs * (np.asarray(ours["work"]) * 4.5e-11 + steps * 1e-5)
    shares = cost / cost.sum()
    # Steps that are compiled for each training cost something in all of them.
    evenly = 0.5 * shares + 0.5 / len(shares)
    return {
        "hand_written": sum_alone("hand-written", configs, shares, options.sample),
        "jitted_steps": sum_alone("steps", configs, evenly, options.sample),
    }


def sum_alone(
    side: str, configs: Sequence[Any], chances: np.ndarray, sample: int
) -> dict[str, float]:
    """Estimates by trainings drawn with these chances: each weighs 1 / (n p)."""
    picked = np.random.default_rng(0).choice(
        len(configs), sample, p=chances, replace=True
    )
    different, back = np.unique(picked, return_inverse=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "configs.json"
        path.write_text(json.dumps([configs[i] for i in different]), encoding="utf-8")
        measured = alone(side, ["--configs", str(path)])
    found: dict[str, float] = {}
    for name, values in measured.items():
        estimates = np.asarray(values)[back] / chances[picked]
        error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
        found |= {name: float(np.mean(estimates)), f"{name}_error": float(error)}
    return found


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


SIDES = {"evotune": evotune_side, "hand-written": alone_side, "steps": steps_side}


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
        others = sums(ours, options)
        kept = {k: v for k, v in ours.items() if k not in ("configs", "work")}
        total = others["hand_written"]["seconds"]
        figures[f"trainings_{count}"] = {
            "evotune": {**kept, "all_seconds": [run["seconds"] for run in runs]},
            **others,
            "times_the_sum": ours["seconds"] / total,
            "times_in_blocks": ours["block_seconds"] / total,
            "steps_times_evotune": others["jitted_steps"]["seconds"] / ours["seconds"],
        }
        print(table(count, figures[f"trainings_{count}"]), flush=True)
    if not options.tiny:
        hidden = ("side", "configs")
        settings = {k: v for k, v in vars(options).items() if k not in hidden}
        path = write_result("mixed", figures, settings=settings, described=described)
        print(f"Written to {path.relative_to(ROOT)}")


def table(count: int, found: Mapping[str, Any]) -> str:
    """The figures of one number of trainings."""
    ours, hand = found["evotune"], found["hand_written"]
    steps = found["jitted_steps"]
    return (
        f"{count} trainings: {ours['seconds']:.1f} s in {ours['programs']} programs, "
        f"{ours['compile_seconds']:.1f} s of it compiling, lanes used "
        f"{ours['utilisation']:.0%}\n"
        f"  each in a program of its own kind, compiling free: "
        f"{hand['seconds']:.1f} s +- {hand['seconds_error']:.1f}\n"
        f"  {found['times_the_sum']:.2f} times the sum, "
        f"{found['times_in_blocks']:.2f} times in blocks of trainings alone\n"
        f"  jitted steps, a training on each device: {steps['seconds']:.0f} s "
        f"+- {steps['seconds_error']:.0f}, {steps['compile_seconds']:.0f} s of it "
        f"compiling: {found['steps_times_evotune']:.1f} times evotune"
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
    options.timed = 1 if options.tiny else 2  # epochs of a side's training
    return options


if __name__ == "__main__":
    main()
