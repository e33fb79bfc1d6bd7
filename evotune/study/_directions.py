"""In which direction each objective gets better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SIGNS = {"maximize": 1, "minimize": -1}


def checked_directions(
    direction: Any, directions: Sequence[Any] | None
) -> tuple[str, ...]:
    """One direction for each of M objectives.

    Args:
        direction: Of one objective.
        directions: Of several, which count in its place; None for one.

    Raises:
        ValueError: If one is none, or there are none.
    """
    if isinstance(directions, str) or (directions is not None and not len(directions)):
        raise ValueError(
            "directions must be a list with one for each objective, but got "
            f"{directions!r}. Use directions=['minimize', 'maximize'], or direction= "
            "for one objective."
        )
    found = (direction,) if directions is None else tuple(directions)
    for each in found:
        if each not in SIGNS:
            raise ValueError(
                f"direction must be 'minimize' or 'maximize', but got {each!r}."
            )
    return found
