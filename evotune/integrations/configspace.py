"""Search spaces to ConfigSpace's, and back.

    from evotune.integrations.configspace import from_configspace, to_configspace

    space = from_configspace(configuration_space)
    to_configspace(space).sample_configuration()

It needs ``pip install 'evotune[configspace]'``.
"""

from __future__ import annotations

from evotune._errors import require

require("ConfigSpace", extra="configspace", purpose="evotune.integrations.configspace")

from evotune.integrations._configspace_from import from_configspace  # noqa: E402
from evotune.integrations._configspace_to import to_configspace  # noqa: E402

__all__ = ["from_configspace", "to_configspace"]
