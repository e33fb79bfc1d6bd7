"""`Space`: what may vary, and its translation to the unit cube and back."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evotune._contracts import Geometry
from evotune._errors import HyperparameterError
from evotune.space import _json
from evotune.space._codec import Levels
from evotune.space._constrained import rules_of
from evotune.space._counting import count
from evotune.space._cube import Columns, Cube
from evotune.space._dimension import Dimension
from evotune.space._entries import build
from evotune.space._narrowable import Narrowable


class Space(Narrowable):
    """Named dimensions to search over, and constants beside them. Immutable.

    Members of a search are rows of a unit cube, f32[P, D]: one column per dimension
    (n - 1 of a `Permutation` of n items), in the order in which they were given; `axes`
    has the dimension of each column. `params` turns rows into plain Python values and
    `encode` turns them back; both are NumPy on the host and never compile anything.

    A dimension whose conditions (``when``) do not hold is inactive: it has no value in
    `params`, and its column is set to one canonical coordinate, so that two rows which
    differ only there are the same.

    Constraints say which combinations are allowed. The cube has the others, too: an
    algorithm may propose them, and the study sees to it that nobody trains them.

    As a collection a space holds the names that it searches: ``len(space)`` is their
    number, iteration gives the names, ``space["width"]`` the dimension. ``name in
    space`` asks for a name, and ``params in space`` is ``space.contains(params)``.

    Example:
        >>> from evotune.space import Categorical, Float, Space
        >>> space = Space(
        ...     optimizer=Categorical(["sgd", "adam"]),
        ...     momentum=Float(0, 0.9, step=0.1, when={"optimizer": "sgd"}),
        ...     epochs=20,
        ... )
        >>> space
        Space(  # 2 dimensions, 11 configurations
            optimizer=Categorical(['sgd', 'adam']),
            momentum=Float(0.0, 0.9, step=0.1, when={'optimizer': 'sgd'}),
            epochs=20,
        )
        >>> x = space.encode([{"optimizer": "sgd", "momentum": 0.3}])
        >>> x.shape
        (1, 2)
        >>> space.params(x)
        [{'optimizer': 'sgd', 'momentum': 0.3}]
    """

    def __init__(
        self,
        mapping: Mapping[str, Any] | None = None,
        /,
        *,
        constraints: Any = (),  # a type of its own would bind `**dimensions`
        **dimensions: Any,
    ) -> None:
        """A space of ``mapping``, followed by the keyword arguments.

        Args:
            mapping: Dimensions and constants by name; for names with dots, such as
                "optimizer.learning_rate".
            constraints: A list of what configurations must keep: expressions such as
                "width * depth <= 512", functions of a configuration (a mapping of its
                active parameters and constants) that answer True where it is allowed,
                and `Forbidden` combinations. One that asks for an inactive dimension
                does not apply.
            **dimensions: Dimensions and constants by name. Whatever is not a
                `Dimension` is a constant: passed on to the task, never searched.

        Raises:
            SpaceError: If the space is empty, or any name, dimension, constant or
                condition breaks a rule; lists every problem found. If a constraint
                fails, or they allow no configuration of many.
            TypeError: If ``mapping`` is no mapping.
        """
        searched, constants, graph = build(mapping, dimensions)
        vars(self).update(
            _dimensions=searched,
            _constants=constants,
            _graph=graph,
            _cube=Cube(searched, constants, graph),
            _rules=rules_of(constraints, {**searched, **constants}),
        )
        self._check_constraints()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the dimensions, in the order of the columns."""
        return tuple(self._dimensions)

    @property
    def axes(self) -> tuple[str, ...]:
        """The name of the dimension that each of the D columns belongs to."""
        return self._cube.axes

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """The dimensions by name, in the order of the columns; a copy."""
        return dict(self._dimensions)

    @property
    def constants(self) -> dict[str, Any]:
        """The constants by name; a copy."""
        return dict(self._constants)

    @functools.cached_property
    def size(self) -> int | float:
        """Number of distinct configurations; ``math.inf`` if any is continuous.

        Those that constraints forbid are counted, too.
        """
        sizes = [dimension.size for dimension in self._dimensions.values()]
        return count(sizes, self._graph)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits of the content, the same in every process."""
        return _json.fingerprint(self._dimensions, self._constants, self._rules)

    def geometry(self, structural: Collection[str] = ()) -> Geometry:
        """The unit cube as an algorithm sees it: static and hashable.

        A dimension of more than 4096 values has 0 levels there, like a continuous one;
        a permutation of n items is n - 1 dimensions there.

        Args:
            structural: Names of the dimensions that change the shape of what is
                trained; constants may be among them and have no effect.

        Raises:
            HyperparameterError: If ``structural`` has a name that is not in the space.
        """
        names = (structural,) if isinstance(structural, str) else tuple(structural)
        for name in names:
            if name not in self._dimensions and name not in self._constants:
                raise HyperparameterError(self._cube.unknown(name, "the space"))
        cells = [
            codec if isinstance(codec, Levels) else None for codec in self._cube.codecs
        ]
        return Geometry(
            kinds=tuple(self._dimensions[name].kind for name in self.axes),
            levels=tuple(0 if cell is None else len(cell.values) for cell in cells),
            edges=tuple(() if cell is None else cell.edges for cell in cells),
            structural=tuple(name in names for name in self.axes),
            conditions=self._cube.conditions(),
            canonical=tuple(self._cube.canonical.tolist()),
        )

    def decode(self, x: ArrayLike) -> Columns:
        """A column of P plain values for every dimension, also where it is inactive.

        Args:
            x: f32[P, D] in the unit cube; coordinates outside are clipped into it.

        Returns:
            By name: f64[P] of a Float, i64[P] of an Int, bool[P] of a Bool, a list of P
            choices of a Categorical, of P tuples of a Permutation. Inactive rows hold
            the canonical value.

        Raises:
            ValueError: If ``x`` has another shape, or holds NaN.
        """
        return self._cube.decode(self._cube.coordinates(x))

    def active(self, x: ArrayLike) -> dict[str, NDArray[np.bool_]]:
        """By name, bool[P]: the rows of ``x``, f32[P, D], in which it is active.

        Raises:
            ValueError: If ``x`` has another shape, or holds NaN.
        """
        masks = self._cube.masks(self._cube.coordinates(x))
        return {name: masks[index] for index, name in enumerate(self._dimensions)}

    def params(self, x: ArrayLike) -> list[dict[str, Any]]:
        """P dictionaries of plain Python values: active dimensions only, no constants.

        Args:
            x: f32[P, D] in the unit cube; coordinates outside are clipped into it.

        Raises:
            ValueError: If ``x`` has another shape, or holds NaN.
        """
        return self._cube.params(self._cube.coordinates(x))

    def canonical(self, x: ArrayLike) -> NDArray[np.float32]:
        """f32[P, D]: the one row that stands for all which decode to the same.

        Discrete dimensions move to the middle of their cell, inactive ones to their
        canonical coordinate; active continuous ones stay where they are.

        Args:
            x: f32[P, D] in the unit cube; coordinates outside are clipped into it.

        Raises:
            ValueError: If ``x`` has another shape, or holds NaN.
        """
        return self._cube.snap(self._cube.coordinates(x))

    def encode(self, params: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        """f32[P, D]: the canonical coordinates of P dictionaries of parameters.

        A missing dimension must be inactive or have a default. Values of inactive
        dimensions, and constants with their own value, are accepted and have no effect.
        Floats are kept to the resolution that `Float` states. Constraints are not
        looked at: see `contains` and `allowed`.

        Args:
            params: P mappings of names to values, as `params` returns them.

        Raises:
            HyperparameterError: If a row has an unknown name, a value that its
                dimension does not have, or lacks a value; lists all problems of a row.
            TypeError: If ``params`` is no sequence of mappings.
        """
        if isinstance(params, (Mapping, str)) or not all(
            isinstance(row, Mapping) for row in params
        ):
            raise TypeError(
                "`params` must be a list of dictionaries, one for each row, but got "
                f"{params!r:.80}. For a single one use `space.encode([params])[0]`."
            )
        return self._cube.encode(params)

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Whether names are known, and values and their combination allowed."""
        if not isinstance(params, Mapping):
            return False
        try:
            x = self._cube.encode([params])
        except HyperparameterError:
            return False
        return bool(self.allowed(x)[0])

    def to_json(self) -> str:
        """The space as JSON text, with its ``schema_version``.

        Raises:
            SpaceError: If a choice or constant is no string, number, boolean, None or
                tuple of these, or a constraint is a function.
        """
        return _json.dumps(self._dimensions, self._constants, self._rules)

    @classmethod
    def from_json(cls, document: str | Mapping[str, Any]) -> Space:
        """The space that `to_json` wrote.

        Args:
            document: The text, or the object that ``json.loads`` made of it.

        Raises:
            SpaceError: If it is damaged, or of a ``schema_version`` that this version
                cannot read.
        """
        entries, rules = _json.loads(document)
        return cls(entries, constraints=rules)
