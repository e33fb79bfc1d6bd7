"""Figures in cards, for a page."""

from __future__ import annotations

from typing import Any

from evotune.report import _style, _template
from evotune.report._front import (
    MOST_OBJECTIVES,
    plot_hypervolume,
    plot_pareto_front,
    plot_pareto_fronts,
)
from evotune.report._records import Record
from evotune.report._svg import inline_svg
from evotune.report._tables import confirmed_trials


def card(fig: Any, name: str, description: str, caption: str, heading: str = "") -> str:
    """A figure with its caption, as one section of a page."""
    svg = inline_svg(fig, name, description)
    return _template.section(heading, _template.figure(svg, caption))


def confirmation_card(source: Any) -> list[str]:
    """A table of the trials that were trained again on fresh seeds, if any were."""
    found = getattr(source, "confirmation", None)
    if found is None:
        return []
    note = (
        f"The leading trials, trained again from {len(found.best.values)} fresh seeds: "
        "the search has chosen them by the value that they had in it, which therefore "
        "flatters them, by their optimism. That of the search's winner, trial "
        f"{found.winner.number}, is {found.optimism:.3g}. The last column is the "
        "probability that a trial is the best of them."
    )
    table = _template.table(confirmed_trials(found))
    return [_template.section("On fresh seeds", table, _template.note(note))]


def front_cards(source: Any, record: Record) -> list[str]:
    """The figures of several objectives; none where no trial is complete."""
    if not record.complete:
        return []
    caption = (
        "Every point is a trained network; vermillion ones are those that no other "
        "dominates."
    )
    if len(record.objectives) == 2:
        _, axes = _style.figure(9.2, 3.9)
        fig = plot_pareto_front(source, ax=axes[0, 0]).figure
        caption += " Steps are the fronts of the trials so far, grey early, blue late."
    else:
        fig = plot_pareto_fronts(source)
        caption += " In a pair of objectives alone, others may seem to."
    cards = [card(fig, "front", "Pareto front", caption, heading="Pareto front")]
    if len(record.objectives) <= MOST_OBJECTIVES:
        _, axes = _style.figure(9.2, 2.9)
        fig = plot_hypervolume(source, ax=axes[0, 0]).figure
        words = "How much of the space between the worst values and the front is won."
        cards.append(card(fig, "hypervolume", "Hypervolume over trials", words))
    return cards
