"""evotune beside other tools: ConfigSpace, evosax, Optuna.

Each module, such as `evotune.integrations.optuna`, needs the tool that it is named
after, and says so when it is imported.
"""

__all__: list[str] = []
