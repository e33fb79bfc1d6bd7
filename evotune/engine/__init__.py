"""Turns a proposal into outcomes by training every member at once.

The only place with jit, vmap, scan and sharding of members.
"""

from evotune._cache import set_compile_cache
from evotune.engine._calibrate import calibrate
from evotune.engine._calibration import Calibration
from evotune.engine._costs import Costs
from evotune.engine._engine import Engine
from evotune.engine._outcomes import Finished
from evotune.engine._plan import Plan, ProgramSpec

__all__ = [
    "Calibration",
    "Costs",
    "Engine",
    "Finished",
    "Plan",
    "ProgramSpec",
    "calibrate",
    "set_compile_cache",
]
