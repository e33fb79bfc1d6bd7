"""How soon does a study train when an earlier process has compiled its programs?

Command:   python -m benchmarks.second_run              (--tiny for half a minute)
Hardware:  CPU.
Time:      about 2 minutes on two cores.
Result:    benchmarks/results/second_run.json, and the table that it prints.

The study is the quickstart's. Each run is a process of its own: the first with an empty
cache folder, the second with what the first left there, and one with the cache switched
off. Seconds are from the start of the process, imports included, to the first training
that is handed to the devices, and to the first result on the host. Programs are those
that XLA compiled and those that were loaded.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import unittest.mock
from typing import Any

from benchmarks._harness import ROOT, hardware, write_result

RUNS = ("first", "second", "switched off")
COMPILED = "/jax/core/compile/backend_compile_duration"
LOADED = "/evotune/compile_cache/hits"
STARTED = "EVOTUNE_BENCHMARK_STARTED"


class Clock:
    """A study's progress that notes when what happened for the first time."""

    def __init__(self, began: float) -> None:
        """Counts from the Unix time ``began``."""
        self._began = began
        self.seconds: dict[str, float] = {}

    def note(self, what: str) -> None:
        """Notes the time, if it is the first."""
        self.seconds.setdefault(what, time.time() - self._began)

    def event(self, text: str) -> None:
        """A program is ready."""
        self.note("program")

    def update(self, *_: Any) -> None:
        """The first results are recorded."""
        self.note("result")

    def start(self, *_: Any) -> None:
        """Says nothing."""

    stopping = finish = start


def study(options: argparse.Namespace) -> dict[str, float]:
    """The quickstart's study, in this process."""
    import jax.monitoring

    import evotune as et

    clock = Clock(float(os.environ[STARTED]))
    counts: collections.Counter[str] = collections.Counter()
    jax.monitoring.register_event_listener(lambda event, **_: counts.update([event]))

    def count(event: str, duration_secs: float, **more: str | int) -> None:  # noqa: ARG001
        if "compiler_option" not in str(more.get("fun_name")):  # tried, never run
            counts[event] += 1

    jax.monitoring.register_event_duration_secs_listener(count)
    submit = et.engine.Engine.submit

    def noted(engine: Any, proposal: Any) -> None:
        clock.note("submitted")
        submit(engine, proposal)

    clock.note("imported")
    space = et.Space(
        learning_rate=et.Float(1e-3, 3e-2, log=True),
        weight_decay=et.Float(1e-6, 1e-1, log=True),
        label_smoothing=et.Float(0.0, 0.2),
        width=et.Int(16, 128, log=True),
        depth=et.Int(1, 3),
        activation=et.Categorical(["relu", "gelu", "tanh"]),
        batch_size=et.Categorical([32, 64, 128]),
        optimizer="adamw",
        epochs=options.epochs,
    )
    task = et.tasks.Classification(et.datasets.digits(), model=et.models.MLP())
    with unittest.mock.patch.object(et.engine.Engine, "submit", noted):
        result = et.tune(
            task,
            space,
            algorithm=et.GeneticAlgorithm(population_size=options.population),
            generations=options.generations,
            progress=clock,
        )
    clock.note("finished")
    seconds = clock.seconds
    return {
        "seconds_to_import": seconds["imported"],
        "seconds_to_training": max(seconds["submitted"], seconds["program"]),
        "seconds_to_result": seconds["result"],
        "seconds": seconds["finished"],
        "compiled": counts[COMPILED],
        "loaded": counts[LOADED],
        "best_value": result.best_value,
    }


def alone(cache: str, options: argparse.Namespace) -> dict[str, float]:
    """Runs the study in a fresh process with ``cache`` as its EVOTUNE_CACHE."""
    command = [sys.executable, "-m", "benchmarks.second_run", "--inside"]
    command += ["--generations", str(options.generations)]
    command += ["--population", str(options.population)]
    command += ["--epochs", str(options.epochs)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "EVOTUNE_CACHE": cache, STARTED: repr(time.time())},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    options = parse()
    if options.inside:
        print(json.dumps(study(options)))
        return
    described = hardware()
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in RUNS}
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            for name in RUNS:
                cache = "off" if name == "switched off" else folder
                runs[name].append(alone(cache, options))
    if len({run["best_value"] for found in runs.values() for run in found}) > 1:
        raise RuntimeError(f"all runs must find the same bits, but got {runs}.")
    figures = {
        name: {
            **{
                figure: statistics.median(run[figure] for run in found)
                for figure in found[0]
            },
            "runs": found,
        }
        for name, found in runs.items()
    }
    print(table(figures))
    if not options.tiny:
        settings = {k: v for k, v in vars(options).items() if k != "inside"}
        path = write_result(
            "second_run", figures, settings=settings, described=described
        )
        print(f"Written to {path.relative_to(ROOT)}")


def table(figures: dict[str, Any]) -> str:
    """A line for each run: the medians."""
    columns = {
        "seconds_to_import": "import s",
        "seconds_to_training": "training s",
        "seconds_to_result": "result s",
        "seconds": "all s",
        "compiled": "compiled",
        "loaded": "loaded",
    }
    lines = [f"{'':14}" + "".join(f"{title:>12}" for title in columns.values())]
    lines += [
        f"{name:14}" + "".join(f"{found[column]:12.4g}" for column in columns)
        for name, found in figures.items()
    ]
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--generations", type=int, default=2)
    parser.add_argument("--population", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--inside", action="store_true", help="one run, from here")
    parser.add_argument("--tiny", action="store_true", help="half a minute")
    options = parser.parse_args()
    if options.tiny:
        options.repeats, options.population, options.epochs = 1, 4, 1
    return options


if __name__ == "__main__":
    main()
