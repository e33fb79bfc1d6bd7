"""The first line of a journal: whose record it is."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evotune._errors import JournalError, raise_all

if TYPE_CHECKING:
    from evotune._contracts import Algorithm
    from evotune.space import Space

SCHEMA_VERSION = 3
"""Of the journal's lines; see `evotune.study._codec`. Old ones are read for ever, and
written wherever they suffice."""


def as_json(value: Any) -> Any:
    """JSON values from JSON text, or from JSON values."""
    return json.loads(value) if isinstance(value, str) else value


def make_header(
    *,
    study_name: str,
    space: Space,
    algorithm: Algorithm,
    seed: int,
    directions: Sequence[str],
    repeats: int,
) -> dict[str, Any]:
    """What makes this study this study, as JSON values."""
    single = len(directions) == 1
    schema = 1 if single else 2
    return {
        "schema_version": schema if repeats == 1 else 3,
        "evotune": version(),
        "study_name": study_name,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "space": as_json(space.to_json()),
        "fingerprint": space.fingerprint,
        "algorithm": repr(algorithm),
        "seed": seed,
        "direction": directions[0] if single else list(directions),
        **({"repeats": repeats} if repeats > 1 else {}),
    }


def version() -> str:
    """The installed version of evotune."""
    try:
        return importlib.metadata.version("evotune")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"


def check_schema(header: dict[str, Any], path: str) -> None:
    """Refuses a journal that a newer evotune wrote.

    Raises:
        JournalError: If its schema is not known here.
    """
    schema = header.get("schema_version")
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA_VERSION:
        raise JournalError(
            f"This evotune reads journals up to schema {SCHEMA_VERSION}, but {path!r} "
            f"has schema {schema!r}; evotune {header.get('evotune')} wrote it. Install "
            f"that version: pip install 'evotune=={header.get('evotune')}'."
        )


def check_resumable(
    recorded: dict[str, Any], current: dict[str, Any], path: str, *, resume: bool
) -> None:
    """Refuses to continue the journal of another study, or one unasked.

    Args:
        recorded: The header on disk.
        current: The header of the study that wants to go on with it.
        path: The journal, for the message.
        resume: Whether it is to be continued at all.

    Raises:
        JournalError: If not, or if anything that shapes the search differs; names all
            of it.
    """
    if not resume:
        name = current["study_name"]
        raise JournalError(
            f"The study {name!r} has recorded results in {path!r}. Continue it with "
            f"resume=True, or start another one with study_name={name + '-2'!r}."
        )
    problems = []
    if recorded["fingerprint"] != current["fingerprint"]:
        changes = _changes(recorded["space"], current["space"])
        problems.append(f"another space: {'; '.join(changes) or 'its order'}")
    before, now = ({"repeats": 1, **header} for header in (recorded, current))
    problems += [
        f"another {field}: recorded {before[field]}, now {now[field]}"
        for field in ("algorithm", "seed", "direction", "repeats")
        if before[field] != now[field]
    ]
    advice = (
        "Pass what was recorded to continue it, or give the new study a study_name of "
        "its own."
    )
    raise_all(
        [f"The journal {path!r} belongs to {problem}. {advice}" for problem in problems]
        if len(problems) == 1
        else problems,
        JournalError,
        f"The journal {path!r} belongs to another study ({advice[:-1]}) and",
    )


def _changes(recorded: Any, current: Any, where: str = "") -> list[str]:
    """Every leaf in which two JSON values differ, by its path."""
    if isinstance(recorded, dict) and isinstance(current, dict):
        names = dict.fromkeys([*recorded, *current])
        return [
            change
            for name in names
            for change in _changes(
                recorded.get(name),
                current.get(name),
                f"{where}.{name}" if where else name,
            )
        ]
    if _named(recorded) and _named(current):
        return _changes(_by_name(recorded), _by_name(current), where)
    if current is None:
        return [f"{where!r} is gone (recorded {recorded!r})"]
    if recorded is None:
        return [f"{where!r} is new (now {current!r})"]
    if recorded == current:
        return []
    return [f"{where!r}: recorded {recorded!r}, now {current!r}"]


def _named(value: Any) -> bool:
    """Whether a JSON value is a list of objects with names, as a space's dimensions."""
    return isinstance(value, list) and all(
        isinstance(item, dict) and "name" in item for item in value
    )


def _by_name(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {item["name"]: item for item in items}
