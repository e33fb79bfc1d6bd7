"""Problems with what is trained, and how long, on how much and how strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evotune._errors import HyperparameterError
from evotune.models import CNN, MLP, Info


def check_lengths(
    values: Mapping[str, tuple[Any, ...]], *, rows: int, chunks: int = 1
) -> list[str]:
    """Problems with batch_size, epochs, patience, min_delta, l1, l2 and ema.

    Args:
        values: Bounds, choices or the constant of each hyperparameter, as `Task.check`
            takes them.
        rows: Examples in the training split, or in a chunk of it.
        chunks: How many chunks it is cut into.
    """
    problems = [
        "batch_size must be an integer of at least 1, but may be "
        f"{value!r}. Use `batch_size=Categorical([32, 64, 128])`."
        for value in values.get("batch_size", ())
        if not _is_count(value)
    ]
    whose, fix = "the training split's", "a smaller `validation` and `test` fraction"
    if chunks > 1:
        whose, fix = f"a chunk's (one of {chunks})", "a larger `chunk_bytes`"
    problems += [
        f"batch_size must not exceed {whose} {rows} examples, "
        f"but may be {value}. Use a batch_size of at most {rows}, or {fix}."
        for value in values.get("batch_size", ())
        if _is_count(value) and value > rows
    ]
    problems += [
        f"epochs must be an integer of at least 1, but may be {value!r}. "
        "Use `epochs=20` or `epochs=Int(5, 40)`."
        for value in values.get("epochs", ())
        if not _is_count(value)
    ]
    problems += [
        "patience must be an integer of at least 1 epoch, but may be "
        f"{value!r}. Use `patience=5`; leave it out to train to the end."
        for value in values.get("patience", ())
        if not _is_count(value)
    ]
    if "min_delta" in values and "patience" not in values:
        problems.append(
            "min_delta is the improvement that `patience` waits for, but the space "
            "has no patience. Add `patience=5`, or leave `min_delta` out."
        )
    problems += [
        f"{name} must be at least 0, but may be {value!r}."
        for name in ("l1", "l2", "min_delta")
        for value in values.get(name, ())
        if not value >= 0
    ]
    return problems + [
        f"ema must lie in [0, 1), but may be {value!r}. "
        "Use `ema=Float(0.9, 0.999)`; 0 takes the weights as they are."
        for value in values.get("ema", ())
        if not 0 <= value < 1
    ]


def check_model(model: Any, info: Info) -> None:
    """Whether a model can read examples such as ``info`` says.

    Raises:
        HyperparameterError: If they are symbols, and it takes numbers.
    """
    if info.vocab_size is not None and isinstance(model, (MLP, CNN)):
        raise HyperparameterError(
            f"{type(model).__name__} takes numbers, but examples are codes of "
            f"{info.vocab_size} symbols. Use `model=et.models.RNN()` or "
            "`et.models.Transformer()`, which embed them, or a module of your own."
        )


def check_outputs(shape: Any, expected: tuple[int, ...], what: str) -> None:
    """Whether a network's outputs have the ``expected`` shape; seen while tracing.

    Args:
        shape: Of the outputs.
        expected: [rows, outputs], with the steps between where each has its own.
        what: What there are as many of as outputs, such as "there are targets".

    Raises:
        HyperparameterError: If they have not.
    """
    if shape == expected:
        return
    raise HyperparameterError(
        f"The model must return {expected[-1]} outputs for each example, as many as "
        f"{what}, but for {expected[0]} examples it returns shape {shape} instead of "
        f"{expected}. End it with a layer of `info.num_outputs` units: "
        "`model=lambda hp, info: Net(features=info.num_outputs)`."
    )


def check_symbols(values: Mapping[str, tuple[Any, ...]], names: Any) -> list[str]:
    """Problems with augmentations, called ``names``, of examples that are symbols."""
    return [
        f"{name} changes numbers, but examples are codes of symbols. "
        f"Leave `{name}` out of the space."
        for name in names
        if name in values
    ]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
