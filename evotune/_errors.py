"""What evotune raises, and the words it uses to do so.

Every message names the rule, the value that broke it, the likely cause and the fix.
User mistakes are ValueError or TypeError kin, so that ``except ValueError`` works.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Collection, Iterable, Sequence
from types import ModuleType


class EvotuneError(Exception):
    """Base class of the errors that evotune defines itself."""


class SpaceError(EvotuneError, ValueError):
    """A search space breaks a rule; lists every problem found."""


class DataError(EvotuneError, ValueError):
    """The data cannot be trained on as they are."""


class HyperparameterError(EvotuneError, ValueError):
    """A hyperparameter is unknown, or its values do not fit the task."""


class JournalError(EvotuneError, ValueError):
    """A journal on disk cannot be read or continued by this study."""


class AllDivergedError(EvotuneError, RuntimeError):
    """Every member of a generation diverged; nothing is left to select from."""


class MissingExtraError(EvotuneError, ImportError):
    """An optional package is needed for what was asked, and is not installed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as " Did you mean 'width'?", or "" where nothing is near."""
    matches = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    if not matches:
        return ""
    return f" Did you mean {' or '.join(repr(match) for match in matches)}?"


def raise_all(problems: Sequence[str], kind: type[Exception], subject: str) -> None:
    """Raises one error that lists all ``problems``; does nothing without any."""
    if not problems:
        return
    if len(problems) == 1:
        raise kind(problems[0])
    listed = "\n".join(f"  - {problem}" for problem in problems)
    raise kind(f"{subject} has {len(problems)} problems:\n{listed}")


def is_count(value: object) -> bool:
    """Whether ``value`` is an integer of at least 1; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def count_problems(fix: str, **values: object) -> list[str]:
    """A sentence for each of ``values`` that is no integer of at least 1.

    Args:
        fix: What to do instead, as a sentence.
        **values: Arguments by name.
    """
    return [
        f"{name} must be an integer of at least 1, but got {value!r}. {fix}"
        for name, value in values.items()
        if not is_count(value)
    ]


def check_one_objective(objectives: Collection[str], call: str) -> None:
    """Refuses what is only defined for one objective.

    Args:
        objectives: Their names.
        call: What was called, such as "refine()".

    Raises:
        HyperparameterError: If there are several.
    """
    if len(objectives) > 1:
        raise HyperparameterError(
            f"{call} works on one objective, but there are {len(objectives)}: "
            f"{', '.join(objectives)}. Make a task of one of them: "
            "`Classification(dataset, metric='accuracy')`."
        )


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Imports an optional package, or says which pip command installs it.

    Args:
        module: The module's import name, such as "pandas".
        extra: The extra of evotune that brings it, such as "dataframe".
        purpose: What needs it, as the subject of a sentence: "trials_dataframe()".

    Raises:
        MissingExtraError: If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the package {module.split('.')[0]!r}, which is not "
            f"installed. Install it with: pip install 'evotune[{extra}]'"
        ) from error
