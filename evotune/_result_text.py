"""What ``print(result)`` shows."""

from __future__ import annotations

from typing import Any

import numpy as np

_MOST_OF_FRONT = 8


def result_text(result: Any) -> str:
    """Counts, seconds, and the best trial, or the front of several objectives.

    Args:
        result: A `Result`; the class imports this file, so that it is not named here.
    """
    trials = result.trials
    states = [trial.state.name for trial in trials]
    generations = len({trial.generation for trial in trials if trial.generation >= 0})
    counts = {
        "diverged or failed": states.count("FAIL"),
        "pruned": states.count("PRUNED"),
        "unfinished": states.count("RUNNING") + states.count("WAITING"),
    }
    notes = "".join(f", {count} {word}" for word, count in counts.items() if count)
    repeats = result.study.repeats
    each = f" of {repeats} trainings each" if repeats > 1 else ""
    lines = [
        f"Result: {len(trials)} trials{each} in {generations} generations{notes}",
        f"  {result.seconds['total']:.1f} s in all: {result.seconds['compile']:.1f} s "
        f"compiling, {result.seconds['train']:.1f} s training",
    ]
    front = result.pareto_trials
    if "COMPLETE" not in states:
        lines.append("  no trial is complete")
    elif not front:
        lines.append("  no trial satisfies the constraints")
    elif len(result.objectives) > 1:
        lines += _front_lines(result, front)
    else:
        lines += _best_lines(result)
    if result.confirmation is not None:
        lines.append(f"  confirmed: {result.confirmation.verdict}")
    return "\n".join(lines)


def _best_lines(result: Any) -> list[str]:
    best = result.best
    mean = ""
    if best.repeats:
        count, spread = len(best.repeats), best.spread
        mean = f", mean of {count} trainings, standard deviation {spread:.2g}"
    lines = [f"  best {result.metric} {best.value:.6g}, trial {best.number}{mean}:"]
    width = max(map(len, best.params), default=0)
    for name, value in best.params.items():
        shown = f"{value:.6g}" if isinstance(value, float) else repr(value)
        lines.append(f"    {name:{width}}  {shown}")
    return lines


def _front_lines(result: Any, front: list[Any]) -> list[str]:
    """Trials from one end of the first objective to the other, both included."""
    front = sorted(front, key=lambda trial: (trial.values, trial.number))
    places = np.linspace(0, len(front) - 1, _MOST_OF_FRONT).round().astype(int)
    lines = [f"  {len(front)} trials that no other dominates; from end to end:"]
    for place in np.unique(places).tolist():
        pairs = zip(result.objectives, front[place].values, strict=True)
        values = ", ".join(f"{name} {value:.6g}" for name, value in pairs)
        lines.append(f"    trial {front[place].number}: {values}")
    return lines
