"""What may vary: dimensions, conditions and constants, and their codec to [0, 1]^D."""

from __future__ import annotations

from evotune.space._choices import Bool, Categorical
from evotune.space._dimension import Dimension
from evotune.space._float import Float
from evotune.space._int import Int
from evotune.space._space import Space

__all__ = ["Bool", "Categorical", "Dimension", "Float", "Int", "Space"]
