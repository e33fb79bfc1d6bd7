"""Sides that take turns, each in a fresh process, and what came of it."""

from __future__ import annotations

import collections
import dataclasses
import importlib
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from benchmarks._harness import Data, cores
from benchmarks._sides import RivalResult, Side, median_of, missing, run_alone


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contender:
    """One side.

    Attributes:
        module: Its module in `benchmarks.rivals`.
        options: Further keyword arguments of its ``run``.
        devices: CPU devices; None for as many as its best form wants.
        trainings: The most that it trains, where it is slow; None for all.
        once: Whether it has a single turn.
        needs: Import names of packages that it needs beyond evotune's own.
    """

    module: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    devices: int | None = None
    trainings: int | None = None
    once: bool = False
    needs: Sequence[str] = ()

    def run(
        self,
        data: Data,
        learning_rates: np.ndarray,
        settings: Mapping[str, Any],
        *,
        here: bool,
    ) -> RivalResult:
        """Takes a turn, in a fresh process or in this one.

        Raises:
            RuntimeError: If it fails.
        """
        module = f"benchmarks.rivals.{self.module}"
        if here:
            side: Side = importlib.import_module(module).run
            return side(data, learning_rates, **settings, **self.options)
        return run_alone(
            module,
            data,
            learning_rates,
            **settings,
            options=self.options,
            devices=self.devices,
        )


@dataclasses.dataclass(kw_only=True)
class Found:
    """What one side has shown.

    Attributes:
        results: One for each turn.
        left_out: Why it was not started.
        failed: What it said when it failed.
    """

    results: list[RivalResult] = dataclasses.field(default_factory=list)
    left_out: str = ""
    failed: str = ""


def contest(
    contenders: Mapping[str, Contender],
    data: Data,
    learning_rates: np.ndarray,
    *,
    width: int,
    epochs: int,
    batch_size: int,
    seed: int,
    turns: int,
    here: bool = False,
) -> dict[str, Found]:
    """All sides in turns, so that a slow minute of the machine hits all of them.

    Each turn begins with the next side, so that none is always the one that follows
    another. A side that fails, or whose packages are missing, costs a line and no
    other side; `leave` says so at the end.

    Args:
        contenders: By name.
        data: What all of them train on.
        learning_rates: f32[L], one training each.
        width: Units of the networks.
        epochs: Epochs of each training.
        batch_size: Rows of a batch.
        seed: Of initial values and of the data order; one more in every turn.
        turns: Of each side.
        here: Whether all of them run in this process, on a device for each core: for
            tests, whose time is not to go into imports.
    """
    if here:
        jax.config.update("jax_num_cpu_devices", cores())
    found = {name: Found() for name in contenders}
    for turn in range(turns):
        names = collections.deque(contenders)
        names.rotate(-turn)
        for name in names:
            contender = contenders[name]
            mine = found[name]
            if mine.left_out or mine.failed or (contender.once and turn):
                continue
            if line := missing(contender.needs):
                mine.left_out = line
                say(f"{name}: {line}")
                continue
            given = (data, learning_rates[: contender.trainings])
            settings = {
                "width": width,
                "epochs": epochs,
                "batch_size": batch_size,
                "seed": seed + turn,
            }
            try:
                result = contender.run(*given, settings, here=here)
            except RuntimeError as error:
                mine.failed = str(error)[-2000:]
                say(f"{name} failed: {mine.failed}")
            else:
                mine.results.append(result)
                say(
                    f"turn {turn + 1}, width {width}, {name}: "
                    f"{result.compile_seconds:.2f} s compiling, "
                    f"{steady_ms(result):.1f} ms a training"
                )
    return found


def say(text: str) -> None:
    """Tells whoever watches how far things are."""
    print(f"  {text}", file=sys.stderr, flush=True)


def steady_ms(result: RivalResult) -> float:
    """Milliseconds of a training once all is compiled."""
    return 1e3 * result.steady_seconds / len(result.accuracies)


def all_in_ms(result: RivalResult, trainings: int) -> float:
    """Milliseconds of each of so many trainings, with its share of compiling."""
    train = 1e3 * result.train_seconds / len(result.accuracies)
    return 1e3 * result.compile_seconds / trainings + train


def summary(
    found: Mapping[str, Found], *, trainings: int, to: str = "evotune"
) -> dict[str, dict[str, Any]]:
    """Medians over the turns of each side, all turns, and ratios to side ``to``.

    Args:
        found: What `contest` gave.
        trainings: Over how many the compiling of a side is spread, even where it has
            trained fewer.
        to: The side whose milliseconds are 1.
    """
    figures = {name: _medians(one, trainings) for name, one in found.items()}
    ratios = {
        "times_with_compiling": "ms_per_training",
        "times_after_compiling": "ms_per_training_after_compile",
    }
    for side in figures.values():
        for ratio, figure in ratios.items():
            if figure in side and figure in figures[to]:
                side[ratio] = side[figure] / figures[to][figure]
    return figures


def _medians(one: Found, trainings: int) -> dict[str, Any]:
    reasons = {"left_out": one.left_out, "failed": one.failed}
    trouble = {name: reason for name, reason in reasons.items() if reason}
    if not one.results:
        return trouble
    with_compiling = [all_in_ms(result, trainings) for result in one.results]
    after = [steady_ms(result) for result in one.results]
    return {
        **median_of(one.results).to_json(),
        "ms_per_training": statistics.median(with_compiling),
        "ms_per_training_after_compile": statistics.median(after),
        "all_ms_per_training": with_compiling,
        "all_ms_per_training_after_compile": after,
        "all_seconds": [result.seconds for result in one.results],
        **trouble,
    }


COLUMNS = {
    "compile s": ("compile_seconds", ".2f"),
    "ms": ("ms_per_training", ".1f"),
    "ms after": ("ms_per_training_after_compile", ".1f"),
    "x": ("times_with_compiling", ".2f"),
    "x after": ("times_after_compiling", ".2f"),
    "accuracy": ("mean_accuracy", ".3f"),
}


def table(title: str, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each side: milliseconds a training, with compiling and after it."""
    lines = [f"{title:42}" + "".join(f"{column:>11}" for column in COLUMNS)]
    for name, side in figures.items():
        if "ms_per_training" not in side:
            lines.append(f"{name:42} {side.get('left_out', 'failed')}")
            continue
        cells = [f"{side.get(key, np.nan):>11{form}}" for key, form in COLUMNS.values()]
        lines.append(f"{name:42}" + "".join(cells))
    return "\n".join(lines)


def accuracies_apart(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """How far the mean accuracies of the sides lie apart: all train the same thing."""
    means = [
        side["mean_accuracy"] for side in figures.values() if "mean_accuracy" in side
    ]
    return f"mean accuracies differ by {np.ptp(means) if means else np.nan:.3f}"


def leave(figures: Iterable[Mapping[str, Mapping[str, Any]]]) -> None:
    """Ends the process with an error where a side has failed; called at the very end.

    Args:
        figures: What `summary` gave, of all cases.
    """
    failed = sorted({n for case in figures for n in case if "failed" in case[n]})
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; what was measured is kept")
