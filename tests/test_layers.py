"""Imports point down only: the layers of docs/design.md, read from the source."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "evotune"

LAYERS = {
    "_contracts": 0,
    "_errors": 0,
    "_signatures": 0,
    "_machine": 0,
    "_files": 0,  # writing them whole
    "_pareto": 0,  # who dominates whom, for records and reports
    "_cache": 1,  # compiled programs on disk, for the engine and the study
    "_statistics": 0,
    "space": 1,
    "algorithms": 1,
    "nn": 1,
    "augmentation": 1,
    "models": 1,
    "metrics": 1,
    "datasets": 1,
    "diagnostics": 1,  # reads the numbers of any record, knows no study
    "training": 1,
    "tasks": 1,
    "engine": 2,
    "study": 3,
    "report": 4,
    "_result": 5,
    "_result_text": 5,
    "_confirmation": 5,
    "_growth": 5,  # what grow() returns
    "_growth_rules": 5,
    "_sizing": 5,  # of grow(): which sizes a model has
    "_grow": 5,
    "_lr_range_test": 5,
    "_refine": 5,
    "_refinement": 5,
    "_default_space": 5,
    "_tune": 5,
    "integrations": 5,  # what other tools are to evotune, and it to them
    "cli": 6,
    "__init__": 6,
    "__main__": 6,
    "testing": 6,
}
"""Layer of each top-level part. A new part names its layer here, with its reason."""

SAME_LAYER = {
    ("models", "nn"),
    ("tasks", "augmentation"),
    ("tasks", "datasets"),
    ("tasks", "metrics"),
    ("tasks", "models"),
    ("tasks", "nn"),
    ("tasks", "training"),
    ("training", "nn"),
    ("_errors", "_contracts"),
    ("_signatures", "_errors"),
    ("_tune", "_result"),
    ("_result", "_confirmation"),
    ("_result", "_result_text"),
    ("_grow", "_confirmation"),
    ("_grow", "_growth"),
    ("_grow", "_growth_rules"),
    ("_grow", "_sizing"),
    ("_growth_rules", "_growth"),
    ("_lr_range_test", "_result"),
    ("_lr_range_test", "_tune"),
    ("_refine", "_refinement"),
    ("_refine", "_result"),
    ("_refine", "_tune"),
    ("_refinement", "_result"),
    ("_default_space", "_result"),
    ("_default_space", "_tune"),
    ("__init__", "testing"),
    ("__main__", "cli"),
}
"""Pairs (importer, imported) of one layer that may meet."""

FORBIDDEN = {
    ("engine", "algorithms"): "the engine trains proposals, whoever made them",
    ("report", "engine"): "a report reads records only",
    ("report", "tasks"): "a report reads records only",
    ("report", "algorithms"): "a report reads records only",
    ("report", "models"): "a report reads records only",
    ("report", "nn"): "a report reads records only",
    ("report", "datasets"): "a report reads records only",
}
"""Pairs (importer, imported) that point down and are wrong all the same."""

PROGRAMS = {"jit", "pmap", "shard_map"}
MAY_COMPILE = {"_cache", "engine", "study", "testing"}


@dataclasses.dataclass(frozen=True)
class Import:
    """One imported module or name, where it stands and whether only types need it."""

    source: str  # "evotune.space._codec"
    target: str  # "evotune._contracts" or "evotune._contracts.Geometry"
    where: str
    typing_only: bool

    @property
    def parts(self) -> tuple[str, str]:
        return part_of(self.source), part_of(self.target)


def part_of(module: str) -> str:
    names = module.split(".")
    return names[1] if len(names) > 1 else "__init__"


def module_of(path: Path) -> str:
    names = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def exists(module: str) -> bool:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of evotune in a file, those inside functions included."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    source = module_of(path)
    package = source if path.name == "__init__.py" else source.rpartition(".")[0]
    type_blocks = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    for node in ast.walk(tree):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            targets = [f"{base}.{alias.name}" for alias in node.names]
        for target in targets:
            if target.split(".")[0] == "evotune":
                line = node.lineno
                inside = any(low <= line <= high for low, high in type_blocks)
                where = f"{path.relative_to(ROOT)}:{line}"
                yield Import(source, target, where, inside)


def problem_of(found: Import) -> str | None:
    """What is wrong with an import, or None."""
    importer, imported = found.parts
    for part in (importer, imported):
        if part not in LAYERS:
            return f"{part!r} has no layer: name it in LAYERS of tests/test_layers.py"
    if importer != imported:
        if (importer, imported) in FORBIDDEN:
            return FORBIDDEN[importer, imported]
        if importer == "report" and imported == "study" and not found.typing_only:
            return "report reads records by their attributes; study is for types only"
        same = LAYERS[importer] == LAYERS[imported]
        if same and (importer, imported) not in SAME_LAYER:
            return f"{importer} and {imported} are of one layer and must not meet"
        if LAYERS[importer] < LAYERS[imported]:
            return (
                f"{importer} is layer {LAYERS[importer]}, {imported} is layer "
                f"{LAYERS[imported]}: imports point down"
            )
        if imported == "report" and LAYERS[importer] < LAYERS["_result"]:
            return "only the facade and the command line use report"
        private = [name for name in found.target.split(".")[2:] if is_private(name)]
        if private:
            return f"{private[0]} is private to evotune.{imported}"
    return None


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_imports_point_down_and_stay_public(path: Path) -> None:
    problems = [
        f"{found.where}: {found.source} imports {found.target}: {problem}"
        for found in imports_of(path)
        if (problem := problem_of(found))
    ]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_only_engine_and_study_make_programs(path: Path) -> None:
    if part_of(module_of(path)) in MAY_COMPILE:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    problems = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in PROGRAMS:
            wrong = ast.unparse(node.value).split(".")[0] in {"jax", "nn", "nnx"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jax"):
            wrong = any(alias.name in PROGRAMS for alias in node.names)
        else:
            continue
        if wrong:
            problems.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not problems, f"jit, pmap and shard_map belong to the engine: {problems}"


@pytest.mark.parametrize(
    ("source", "target", "typing_only", "allowed"),
    [
        ("evotune.space._codec", "evotune._contracts.Geometry", False, True),
        ("evotune.space._codec", "evotune.space._cells.edges", False, True),
        ("evotune.tasks._fit", "evotune.nn.Dense", False, True),
        ("evotune.engine._plan", "evotune.space.Space", False, True),
        ("evotune._tune", "evotune.report.plot_optimization_history", False, True),
        ("evotune.report._page", "evotune.study.Study", True, True),
        ("evotune.report._page", "evotune.study.Study", False, False),
        ("evotune.nn._dense", "evotune.models.MLP", False, False),
        ("evotune.space._space", "evotune.algorithms.GridSearch", False, False),
        ("evotune.engine._plan", "evotune.algorithms.GridSearch", True, False),
        ("evotune.engine._plan", "evotune.space._codec", False, False),
        ("evotune.engine._plan", "evotune.study.Study", True, False),
        ("evotune.study._loop", "evotune.report.plot", False, False),
        ("evotune.tasks._fit", "evotune.Space", False, False),
        ("evotune.study._loop", "evotune.somewhere.new", False, False),
    ],
)
def test_the_rules_tell_good_imports_from_bad(
    source: str, target: str, typing_only: bool, allowed: bool
) -> None:
    assert (
        problem_of(Import(source, target, "here:1", typing_only)) is None
    ) == allowed
