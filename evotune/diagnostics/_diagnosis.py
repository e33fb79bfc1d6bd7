"""The diagnosis of each trial of a study, and all of them as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from evotune._errors import require
from evotune.diagnostics import _measures
from evotune.diagnostics._curves import Curves
from evotune.diagnostics._rules import FLAGS, Thresholds, Yardstick, flags

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """What the curves of one trial tell about its training; None where they do not.

    Attributes:
        number: The trial's number.
        gap: Validation loss less training loss, over the last tenth of the epochs.
        roughness: Mean absolute second difference of the loss, in its range.
        convergence_epochs: Epochs until 90 % of all improvement.
        convergence_area: Area under the loss scaled to [0, 1], 0 is at once.
        sparsity: Share of the weights below a threshold, where it was recorded.
        flags: The troubles, the gravest first; see `Thresholds`.
    """

    number: int
    gap: float | None = None
    roughness: float | None = None
    convergence_epochs: int | None = None
    convergence_area: float | None = None
    sparsity: float | None = None
    flags: tuple[str, ...] = ()


_MEASURES = tuple(
    field.name
    for field in dataclasses.fields(Diagnosis)
    if field.name not in ("number", "flags")
)


class Diagnostics(Sequence[Diagnosis]):
    """The diagnoses of a study's trials, by number.

    Example:
        >>> found = Diagnostics([Diagnosis(number=0, gap=0.5, flags=("overfitting",))])
        >>> found.counts["overfitting"], found.flagged("overfitting")[0].number
        (1, 0)
    """

    def __init__(self, diagnoses: Iterable[Diagnosis]) -> None:
        """Of some diagnoses, in the order that they keep."""
        self._diagnoses = tuple(diagnoses)

    @property
    def counts(self) -> dict[str, int]:
        """How many trials have each trouble; every trouble is there."""
        return {flag: len(self.flagged(flag)) for flag in FLAGS}

    def flagged(self, flag: str) -> list[Diagnosis]:
        """The diagnoses with one trouble.

        Raises:
            ValueError: If there is no such trouble.
        """
        if flag not in FLAGS:
            raise ValueError(
                f"A trouble must be one of {', '.join(FLAGS)}, but got {flag!r}. Use "
                f"`flagged({FLAGS[0]!r})`."
            )
        return [each for each in self if flag in each.flags]

    def columns(self) -> dict[str, list[Any]]:
        """By name the measures of all trials, then for each trouble who has it.

        A measure that a trial lacks is NaN, as in pandas.
        """
        lacks = float("nan")
        found: dict[str, list[Any]] = {}
        for name in _MEASURES:
            values = [getattr(each, name) for each in self]
            found[name] = [lacks if value is None else value for value in values]
        return found | {flag: [flag in each.flags for each in self] for flag in FLAGS}

    def dataframe(self) -> pd.DataFrame:
        """One row a trial: its number, the measures, and a bool for each trouble.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        pandas = require("pandas", extra="dataframe", purpose="dataframe()")
        return pandas.DataFrame(
            {"number": [each.number for each in self], **self.columns()}
        )

    def __str__(self) -> str:
        lines = [f"{len(self)} trials"]
        lines += [f"  {name:13} {count}" for name, count in self.counts.items()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Diagnostics({list(self._diagnoses)!r})"

    def __len__(self) -> int:
        return len(self._diagnoses)

    def __iter__(self) -> Iterator[Diagnosis]:
        return iter(self._diagnoses)

    @overload
    def __getitem__(self, index: int) -> Diagnosis: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Diagnosis, ...]: ...

    def __getitem__(self, index: int | slice) -> Diagnosis | tuple[Diagnosis, ...]:
        return self._diagnoses[index]


def diagnose(
    trials: Iterable[Any],
    *,
    metric: str = "value",
    direction: str = "minimize",
    thresholds: Thresholds | None = None,
) -> Diagnostics:
    """What the recorded curves of trials tell about their trainings.

    Works on any trials with ``number``, ``curves``, ``state`` and ``system_attrs``:
    those of a running, a resumed or a loaded study. Nothing is trained.

    Args:
        trials: The trials; they are also what each is compared with.
        metric: The name of the objective among the curves.
        direction: Whether that is to "maximize" or to "minimize".
        thresholds: Where the rules draw their lines.

    Returns:
        One diagnosis a trial, in the order of ``trials``.

    Example:
        >>> import evotune as et
        >>> trial = et.create_trial(params={}, value=0.4)
        >>> curves = {"train_loss": [1.0, 0.5, 0.1], "val_loss": [1.0, 0.6, 0.4]}
        >>> import dataclasses
        >>> trial = dataclasses.replace(trial, curves=curves)
        >>> round(et.diagnostics.diagnose([trial])[0].gap, 3)
        0.3
    """
    limits = thresholds if thresholds is not None else Thresholds()
    trials = list(trials)
    curves = [Curves.of(trial.curves, metric, direction) for trial in trials]
    failed = [trial.state.name == "FAIL" for trial in trials]
    sound = [each for each, fails in zip(curves, failed, strict=True) if not fails]
    than = Yardstick.of(sound)
    return Diagnostics(
        _diagnosis(
            trial.number,
            each,
            flags(each, failed=fails, than=than, limits=limits),
        )
        for trial, each, fails in zip(trials, curves, failed, strict=True)
    )


def _diagnosis(number: int, curves: Curves, found: tuple[str, ...]) -> Diagnosis:
    """The measures of one trial beside its ``found`` troubles."""
    main = curves.main
    is_paired = curves.training is not None and curves.validation is not None
    return Diagnosis(
        number=number,
        gap=_measures.gap(curves.training, curves.validation)  # type: ignore[arg-type]
        if is_paired
        else None,
        roughness=None if main is None else _measures.roughness(main),
        convergence_epochs=None if main is None else _measures.epochs_to(main),
        convergence_area=None if main is None else _measures.area(main),
        sparsity=curves.sparsity,
        flags=found,
    )
