"""How hyperparameters enter a program: from columns to leaves, and to values."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune import nn
from evotune._contracts import Binding, Kind
from evotune.space import Dimension, Float, Int, Permutation, Space
from evotune.tasks import Hyperparameters


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
    """One searched hyperparameter and how it is bound.

    Attributes:
        name: Its name in the space.
        binding: TRACED, MASKED or STATIC.
        options: The choices of a categorical, or the items of a permutation; () of a
            range.
        integer: Whether all of its values are integers.
        is_order: Whether it is a permutation of the options instead of one of them.
    """

    name: str
    binding: Binding
    options: tuple[Any, ...]
    integer: bool
    is_order: bool = False

    @property
    def by_index(self) -> bool:
        """Whether members carry the index of an option instead of a number."""
        return self.binding is Binding.MASKED and not numeric(self.options)

    @property
    def is_size(self) -> bool:
        """Whether arrays are padded to a capacity of it."""
        return self.binding is Binding.MASKED and not self.by_index

    def leaf(self, values: Sequence[Any] | np.ndarray) -> np.ndarray:
        """[P] array that enters the program for the column ``values``.

        Of a permutation of n items i32[P, n], which item comes k-th.
        """
        if self.by_index or self.is_order:
            index = {option: i for i, option in enumerate(self.options)}
            if self.is_order:
                values = [[index[item] for item in value] for value in values]
            else:
                values = [index[value] for value in values]
            return np.asarray(values, np.int32)
        array = np.asarray(values)
        if array.dtype == np.bool_:
            return array
        return array.astype(np.int32 if self.integer else np.float32)

    def value(
        self,
        leaf: jax.Array,
        capacity: Mapping[str, int],
        most: Callable[[jax.Array], jax.Array] | None = None,
    ) -> Any:
        """What the task sees for one member's ``leaf``; see `member_values`."""
        if self.by_index:
            return nn.Choice(leaf, self.options)
        if self.is_size:
            reached = None if most is None else most(leaf)
            return nn.Size(leaf, capacity[self.name], reached)
        return leaf


def numeric(options: Sequence[Any]) -> bool:
    """Whether all options are of one numeric kind (an empty range is)."""
    if any(isinstance(option, bool) for option in options):
        return all(isinstance(option, bool) for option in options)
    return all(isinstance(option, int | float) for option in options)


def searched_inputs(space: Space, bindings: Mapping[str, Binding]) -> tuple[Input, ...]:
    """One `Input` for each searched dimension, in the order of the space."""
    inputs = []
    for name in space.names:
        dimension = space.dimensions[name]
        options = choices(dimension)
        inputs.append(
            Input(
                name=name,
                binding=bindings[name],
                options=options,
                integer=_is_integer(dimension),
                is_order=isinstance(dimension, Permutation),
            )
        )
    return tuple(inputs)


def choices(dimension: Dimension) -> tuple[Any, ...]:
    """What a dimension lists, its choices or its items; () of a range."""
    if isinstance(dimension, Permutation):
        return tuple(dimension.items)
    return () if isinstance(dimension, Float | Int) else dimension.values


def _is_integer(dimension: Dimension) -> bool:
    options = choices(dimension)
    if options:
        return all(isinstance(option, int) for option in options)
    return dimension.kind is Kind.INT


def largest_size(space: Space, entry: Input) -> int:
    """The largest value of a padded size."""
    return int(max(entry.options or bounds(space.dimensions[entry.name])))


def inactive_under(space: Space, static: Mapping[str, Any]) -> set[str]:
    """Names that are inactive in every member with the values in ``static``."""
    inactive: set[str] = set()
    while True:
        more = {
            name
            for name in space.names
            if any(
                parent in inactive
                or (parent in static and static[parent] not in values)
                for parent, values in (space.dimensions[name].when or {}).items()
            )
        }
        if more <= inactive:
            return inactive
        inactive |= more


def bounds(dimension: Dimension) -> tuple[Any, Any]:
    """The lowest and the highest value of a range."""
    if isinstance(dimension, Float | Int):
        return dimension.low, dimension.high
    raise TypeError(f"{dimension!r} is not a range; it has choices.")


def member_values(
    inputs: Sequence[Input],
    leaves: Mapping[str, jax.Array],
    *,
    static: Mapping[str, Any],
    capacity: Mapping[str, int],
    most: Callable[[jax.Array], jax.Array] | None = None,
) -> Hyperparameters:
    """The hyperparameters of one member inside a program.

    Args:
        inputs: All searched hyperparameters.
        leaves: Leaf of each one that is not static.
        static: Plain values of the static ones and of the space's constants.
        capacity: What sizes are padded to.
        most: From a member's leaf to the largest of all that train together; None where
            that is not known.
    """
    values = dict(static)
    for entry in inputs:
        if entry.binding is not Binding.STATIC:
            values[entry.name] = entry.value(leaves[entry.name], capacity, most)
        elif entry.is_order and entry.name in static:
            values[entry.name] = entry.leaf([static[entry.name]])[0]
    return Hyperparameters(values)


def seen_by_task(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as a task sees them: of permutations i32[n], which comes k-th."""
    found = dict(values)
    for name, dimension in space.dimensions.items():
        if isinstance(dimension, Permutation) and name in found:
            found[name] = dimension.positions([found[name]])[0]
    return found


def leaf_structs(inputs: Sequence[Input]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of the leaves of one member: scalars, vectors of orders."""
    structs = {}
    for entry in inputs:
        if entry.binding is Binding.STATIC:
            continue
        one: Sequence[Any] = entry.options[:1] or [1]
        example = entry.leaf([entry.options] if entry.is_order else one)
        structs[entry.name] = jax.ShapeDtypeStruct(
            example.shape[1:], jnp.dtype(example.dtype)
        )
    return structs


def struct_of(leaf: Any) -> jax.ShapeDtypeStruct:
    """Shape and dtype of an array, as JAX would hold it."""
    dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
    return jax.ShapeDtypeStruct(np.shape(leaf), dtype)


def plain_config(columns: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Row ``row`` of decoded columns as plain Python values."""
    return {
        name: column[row].item() if hasattr(column[row], "item") else column[row]
        for name, column in columns.items()
    }


def static_combinations(
    space: Space, inputs: Sequence[Input]
) -> Iterator[dict[str, Any]]:
    """All values of the static dimensions that constraints leave.

    Inactive ones have their canonical value only.
    """
    static = [entry for entry in inputs if entry.binding is Binding.STATIC]
    values = [space.dimensions[entry.name].values for entry in static]
    middle = np.asarray([space.geometry().canonical], np.float32)
    canonical = plain_config(space.decode(middle), 0)
    for chosen in itertools.product(*values):
        combination = {e.name: v for e, v in zip(static, chosen, strict=True)}
        inactive = inactive_under(space, combination) & combination.keys()
        active = {n: v for n, v in combination.items() if n not in inactive}
        if space.forbids(active):
            continue
        if all(combination[name] == canonical[name] for name in inactive):
            yield combination
