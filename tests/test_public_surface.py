"""What users can name: few, importable, documented, and the same as in the docs."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import evotune

ROOT = Path(__file__).resolve().parents[1]
MOST_NAMES = 45

PACKAGES = sorted(
    path.parent.name
    for path in (ROOT / "evotune").glob("*/__init__.py")
    if not path.parent.name.startswith("_")
)
DOCS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")])
NAME = re.compile(r"\b(?:et|evotune)((?:\.[A-Za-z_]\w*)+)")


def is_documented(value: object) -> bool:
    """Whether a class, function or module has words of its own; constants need none."""
    if isinstance(value, type):
        words = value.__dict__.get("__doc__")
        generated = f"{value.__name__}("  # what dataclass writes where there is none
        return bool(words) and not words.startswith(generated)
    if inspect.isroutine(value) or isinstance(value, ModuleType):
        return bool(inspect.getdoc(value))
    return True


def test_the_surface_is_small() -> None:
    names = evotune.__all__
    assert len(names) <= MOST_NAMES, f"{len(names)} names, at most {MOST_NAMES}"
    assert len(names) == len(set(names)), "a name stands twice"


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_every_public_name_imports_and_is_documented(package: str) -> None:
    module = importlib.import_module(f"evotune.{package}" if package else "evotune")
    assert is_documented(module), f"{module.__name__} has no docstring"
    assert hasattr(module, "__all__"), f"{module.__name__} has no __all__"
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert not missing, f"in __all__ of {module.__name__} and nowhere else: {missing}"
    silent = [
        name for name in module.__all__ if not is_documented(getattr(module, name))
    ]
    assert not silent, f"no docstring in {module.__name__}: {silent}"


def resolves(dotted: str) -> bool:
    """Whether ``evotune.<dotted>`` is a thing, submodules included."""
    value: object = evotune
    path = "evotune"
    for name in dotted.split("."):
        path = f"{path}.{name}"
        if not hasattr(value, name):
            try:
                importlib.import_module(path)
            except ImportError:
                return False
        value = getattr(value, name)
    return True


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_docs_name_only_what_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = {match[1:] for match in NAME.findall(text)}
    unknown = sorted(name for name in named if not resolves(name))
    assert not unknown, f"{path.name} names what evotune does not have: {unknown}"


def test_every_public_name_is_in_the_docs() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCS)
    words = set(re.findall(r"\w+", text))
    absent = [name for name in evotune.__all__ if name not in words]
    assert not absent, f"in evotune.__all__ and in no page: {absent}"
