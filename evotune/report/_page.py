"""The report: one HTML page that says what was found, how, and how to get it again."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from evotune.report import _style, _template
from evotune.report._cards import card, confirmation_card, front_cards
from evotune.report._curves import learning_curves, plot_learning_curves
from evotune.report._history import plot_optimization_history
from evotune.report._parameters import plot_parameters
from evotune.report._population import plot_population
from evotune.report._records import (
    Record,
    count,
    duration,
    generations,
    label,
    read,
    text,
)
from evotune.report._tables import Summary, best_trials, summary
from evotune.report._troubles import troubles

_PACKAGES = ("evotune", "jax", "jaxlib", "flax", "optax", "numpy")


def html(source: Any, path: str | Path, *, top: int = 10) -> Path:
    """Writes a report as one self-contained HTML page: no script, no other file.

    It shows the best hyperparameters, validation and test scores, the optimisation
    history, the learning curves, where the population went, the best trials, what
    `Result.confirm` found last, which trainings had trouble, the plan, where the time
    went, and what is needed to run the search again.

    Args:
        source: A result; or a study, which has neither test scores nor plan nor times.
        path: The file to write; its folder is made if there is none.
        top: How many of the best trials to list.

    Returns:
        The path of the file.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        OSError: If the file cannot be written.

    Example:
        >>> html(result, "report.html")  # doctest: +SKIP
    """
    record, numbers = read(source), summary(source)
    study = getattr(source, "study", source)
    name = str(getattr(study, "study_name", None) or "search")
    body = [
        _header(name, numbers, record),
        _tiles(source, numbers, record),
        _best(record),
        *(front_cards(source, record) if record.has_front else []),
        *_figures(source, record),
    ]
    if record.complete:
        table = _template.table(
            best_trials(source, top=top), ranked=not record.has_front
        )
        words = "Trials of the front" if record.has_front else "The best trials"
        body.append(_template.section(words, table))
    body += confirmation_card(source)
    body += _troubles(source)
    body.append(_how(source, study, record))
    body.append("<footer>Written by evotune. All of it is in this one file.</footer>")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_template.page(f"{name}: evotune report", body), encoding="utf-8")
    return path


def _header(name: str, numbers: Summary, record: Record) -> str:
    ends = [t.datetime_complete for t in record.trials if t.datetime_complete]
    when = f"{max(ends):%Y-%m-%d %H:%M}. " if ends else ""
    each = f" of {record.repeats} trainings each" if record.repeats > 1 else ""
    done = f"{count(numbers.trials, 'trial')}{each} in "
    done += count(numbers.generations, "generation")
    aims = " and ".join(
        f"{how} {label(name)}" for name, how in record.objectives.items()
    )
    lead = f"{when}{done}, to {aims}."
    return (
        '<header><p class="eyebrow">evotune report</p>'
        f'<h1>{escape(name)}</h1><p class="lead">{escape(lead)}</p>'
        "</header>"
    )


def _tiles(source: Any, numbers: Summary, record: Record) -> str:
    tiles = []
    if record.best is None:
        tiles.append(_template.tile("Best trial", "none", "no trial is complete"))
    elif record.has_front:
        note = "that no other trial dominates"
        tiles.append(_template.tile("Front", f"{numbers.front:,}", note, best=True))
        for column, (name, how) in enumerate(record.objectives.items()):
            values = [trial.values[column] for trial in record.complete]
            best = max(values) if how == "maximize" else min(values)
            tiles.append(_template.tile(f"Best {label(name)}", text(best), how))
    else:
        born = int(generations([record.best])[0])
        tiles.append(
            _template.tile(
                f"Best {label(record.metric)}",
                text(record.best.value),
                f"trial {record.best.number}, generation {born}"
                + (f", mean of {record.repeats}" if record.repeats > 1 else ""),
                best=True,
            )
        )
        for metric, value in _test_metrics(source).items():
            words = metric if metric.startswith("test") else f"test_{metric}"
            note = "of the best trial"
            if record.repeats > 1:
                note = "of its best network"
            words = label(words).capitalize()
            tiles.append(_template.tile(words, text(float(value)), note))
    counts = {
        "complete": numbers.complete,
        "infeasible": numbers.infeasible,
        "pruned": numbers.pruned,
        "diverged": numbers.diverged,
        "failed": numbers.failed,
        "unfinished": numbers.unfinished,
    }
    note = ", ".join(f"{number:,} {word}" for word, number in counts.items() if number)
    tiles.append(_template.tile("Trials", f"{numbers.trials:,}", note))
    total = _seconds(source).get("total")
    if total:
        rate = f"{(numbers.trials - numbers.unfinished) / total:.3g} trials a second"
        tiles.append(_template.tile("Time", duration(total), rate))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _best(record: Record) -> str:
    if record.has_front and record.best is not None:
        return ""
    if record.best is None:
        return _template.section(
            "Best hyperparameters",
            "<p>No trial is complete. If all diverged, lower the upper bound of the "
            "learning rate; if all failed, look at the first error.</p>",
        )
    shown = {name: text(value) for name, value in record.best.params.items()}
    fixed = {name: text(value) for name, value in record.constants.items()}
    lines = [f"    {key!r}: {value!r}," for key, value in record.best.params.items()]
    snippet = "\n".join(["params = {", *lines, "}"])
    left = _template.section("Best hyperparameters", _template.pairs(shown, fixed))
    note = "To train it again, or to start the next search from it."
    right = _template.section("As code", _template.code(snippet), _template.note(note))
    return f'<div class="columns">{left}{right}</div>'


def _figures(source: Any, record: Record) -> list[str]:
    """The figures that the record has data for, each in a card.

    Of several objectives they show the first.
    """
    if not record.complete:
        return []
    _, axes = _style.figure(9.2, 3.9)
    plot_optimization_history(source, ax=axes[0, 0])
    cards = [
        card(
            axes[0, 0].figure,
            "history",
            "Optimisation history",
            "Every point is a trained network. The blue line is the best value so far, "
            "the dashed one the median of each generation.",
        )
    ]
    curves = learning_curves(source)
    if curves.curves:
        others = [m for m in ("val_loss", "val_accuracy") if m in curves.available]
        metrics = list(dict.fromkeys([curves.metric, *others]))[:2]
        drawn = []
        for metric in metrics:
            _, axes = _style.figure(9.2 if len(metrics) == 1 else 5.6, 3.6)
            plot_learning_curves(source, metric=metric, ax=axes[0, 0])
            words = f"Learning curves of {label(metric)}"
            caption = "One line a trial, grey (poor) to blue (good); the best on top."
            drawn.append(card(axes[0, 0].figure, f"curves-{metric}", words, caption))
        cards.append(f'<div class="columns">{"".join(drawn)}</div>')
    if len(set(generations(record.complete).tolist())) > 1:
        cards.append(
            card(
                plot_population(source),
                "population",
                "Hyperparameters by generation",
                "Points are trials, grey (poor) to blue (good), with the median and "
                "the middle half of each generation; bars "
                "are the shares of the choices. The triangle marks the best trial.",
                heading="Where the population went",
            )
        )
    cards.append(
        card(
            plot_parameters(source),
            "parameters",
            "Hyperparameters against the value",
            "Each trial's value against one hyperparameter, from grey (early) to blue "
            "(late); the best trial is vermillion, short lines are medians. Poor "
            "outliers sit at the edge.",
            heading="Values by hyperparameter",
        )
    )
    return cards


def _troubles(source: Any) -> list[str]:
    """A table of the troubles, if there are any."""
    found = troubles(source)
    if not found.rows:
        return []
    note = (
        "Told by the curves of each training, with thresholds that are conventions; "
        "what goes with a trouble need not cause it. Medians, or shares of the trials "
        "with the trouble against the others."
    )
    table = _template.table(found, wraps=True)
    return [_template.section("Troubles", table, _template.note(note))]


def _how(source: Any, study: Any, record: Record) -> str:
    """Plan, time and what is needed to run the search again."""
    cards = []
    plan = getattr(source, "plan", None)
    if plan is not None:
        cards.append(_template.section("Plan", _template.code(str(plan))))
    seconds = _seconds(source)
    total = seconds.pop("total", sum(seconds.values()))
    if total > 0 and seconds:
        rest = total - sum(seconds.values())
        if rest > 0.01 * total:
            seconds["other"] = rest
        shares = {name: (s / total, duration(s)) for name, s in seconds.items()}
        cards.append(_template.section("Where the time went", _template.bar(shares)))
    cards.append(_template.section("To run it again", _template.pairs(_again(study))))
    if record.dimensions:
        space = getattr(study, "space", None)
        cards.append(_template.section("Search space", _template.code(repr(space))))
    return "\n".join(cards)


def _again(study: Any) -> dict[str, str]:
    """What the search depended on, and the versions where this page was written."""
    found = {}
    for field in ("algorithm", "seed", "repeats", "direction", "stopped_by"):
        value = getattr(study, field, None)
        if field == "direction":
            value = ", ".join(getattr(study, "directions", ())) or value
        if value not in (None, ""):
            found[field.replace("_", " ")] = str(value)
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    found["versions"] = ", ".join(versions)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    found["system"] = f"{python}, {platform.system()} {platform.machine()}"
    return found


def _test_metrics(source: Any) -> dict[str, Any]:
    measure = getattr(source, "test_metrics", None)
    return dict(measure()) if callable(measure) else {}


def _seconds(source: Any) -> dict[str, float]:
    found = getattr(source, "seconds", None)
    if not isinstance(found, Mapping):
        return {}
    return {str(name): float(value) for name, value in found.items()}
