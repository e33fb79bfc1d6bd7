"""Tables, plots and a page of what a study recorded. Reads records only.

A plot is two functions: one that gives plain data, one that draws them.
"""

from __future__ import annotations

from evotune.report._curves import (
    LearningCurves,
    learning_curves,
    plot_learning_curves,
)
from evotune.report._front import (
    Front,
    Hypervolumes,
    hypervolumes,
    pareto_front,
    plot_hypervolume,
    plot_pareto_front,
    plot_pareto_fronts,
)
from evotune.report._history import (
    History,
    optimization_history,
    plot_optimization_history,
)
from evotune.report._learning_rates import (
    LearningRates,
    learning_rates,
    plot_learning_rates,
)
from evotune.report._page import html
from evotune.report._parameters import (
    ParameterValues,
    parameter_values,
    plot_parameter_values,
    plot_parameters,
)
from evotune.report._population import (
    ParameterByGeneration,
    parameter_by_generation,
    plot_parameter_by_generation,
    plot_population,
)
from evotune.report._tables import Summary, Table, best_trials, summary
from evotune.report._troubles import troubles

__all__ = [
    "Front",
    "History",
    "Hypervolumes",
    "LearningCurves",
    "LearningRates",
    "ParameterByGeneration",
    "ParameterValues",
    "Summary",
    "Table",
    "best_trials",
    "html",
    "hypervolumes",
    "learning_curves",
    "learning_rates",
    "optimization_history",
    "parameter_by_generation",
    "parameter_values",
    "pareto_front",
    "plot_hypervolume",
    "plot_learning_curves",
    "plot_learning_rates",
    "plot_optimization_history",
    "plot_parameter_by_generation",
    "plot_parameter_values",
    "plot_parameters",
    "plot_pareto_front",
    "plot_pareto_fronts",
    "plot_population",
    "summary",
    "troubles",
]
