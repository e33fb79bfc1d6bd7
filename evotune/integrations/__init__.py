"""evotune beside other tools: `evotune.integrations.optuna`.

Each module needs the tool that it is named after, and says so when it is imported.
"""

__all__: list[str] = []
