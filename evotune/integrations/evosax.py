"""evosax's strategies as algorithms of evotune.

    from evotune.integrations.evosax import EvosaxSearch

    et.tune(task, space, algorithm=EvosaxSearch(strategy="CMA_ES"), generations=20)

It needs ``pip install 'evotune[evosax]'``. evosax starts JAX when it is imported, so
what must be set before, such as the number of CPU devices, comes first.
"""

from __future__ import annotations

from evotune._errors import require

require("evosax", extra="evosax", purpose="evotune.integrations.evosax")

from evotune.integrations._evosax_search import EvosaxSearch  # noqa: E402

__all__ = ["EvosaxSearch"]
