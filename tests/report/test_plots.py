"""Plots and the page: drawn for every kind of record, changing nothing global."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from html.parser import HTMLParser

import numpy as np
import pytest

from evotune import report
from evotune._errors import MissingExtraError
from evotune.report import _style

matplotlib = pytest.importorskip("matplotlib")


def _records(build):
    """Every kind of record that a plot must survive, by name."""
    few = build.few
    empty = build.study(trials=0, names=few)
    failed = build.study(trials=5, diverged=1.0, names=few)
    mixed = build.study(trials=20, population=10, epochs=0, names=few)
    mixed.trials[3] = build.trial(
        **{**vars(mixed.trials[3]), "state": types.SimpleNamespace(name="PRUNED")}
    )
    wild = build.study(trials=40, population=20, direction="minimize", names=few)
    for i, trial in enumerate(wild.trials):
        if trial.value is not None:
            wild.trials[i] = build.trial(**{**vars(trial), "value": 10.0 ** (i % 9)})
    return {
        "no trial": empty,
        "none complete": failed,
        "one trial": build.study(trials=1, diverged=0.0, names=few),
        "one epoch": build.study(trials=8, epochs=1, names=few),
        "no curves": mixed,
        "minimise over decades": wild,
        "no space": types.SimpleNamespace(
            trials=build.study(trials=30, names=few).trials, direction="maximize"
        ),
    }


KINDS = (
    *("no trial", "none complete", "one trial", "one epoch", "no curves"),
    *("minimise over decades", "no space"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_plots_and_pages_are_drawn_for_every_record(build, tmp_path, kind):
    study = _records(build)[kind]
    page = report.html(study, tmp_path / "new" / "report.html")
    assert "</html>" in page.read_text(encoding="utf-8")
    report.plot_learning_curves(study).figure.draw_without_rendering()
    if study.trials:
        report.plot_parameter_by_generation(study, "momentum")
        report.plot_parameter_values(study, "momentum")


def test_axes_that_are_given_are_drawn_on(study):
    figure, grid = _style.figure(ncols=2)
    assert report.plot_optimization_history(study, ax=grid[0, 0]) is grid[0, 0]
    assert report.plot_learning_curves(study, ax=grid[0, 1]) is grid[0, 1]
    assert grid[0, 0].figure is figure
    assert "trial number" in grid[0, 0].get_xlabel()
    assert grid[0, 1].get_ylabel() == "validation accuracy"


def test_a_plot_says_when_it_shows_only_some_curves(study):
    ax = report.plot_learning_curves(study, max_curves=20)
    assert ax.get_title(loc="right").startswith("20 of ")


def test_outliers_do_not_flatten_the_history(build):
    study = build.study(trials=60, diverged=0.0)
    worst = build.trial(**{**vars(study.trials[7]), "value": -50.0})
    study.trials[7] = worst
    ax = report.plot_optimization_history(study)
    assert ax.get_ylim()[0] > 0
    assert "1 below" in str([t.get_text() for t in ax.get_legend().get_texts()])


def test_focus_keeps_the_good_side_whole():
    values = np.asarray([*np.linspace(0.9, 1.0, 50), -100.0])
    low, high = _style.focus(values, "maximize")
    assert 0.7 < low < 0.91
    assert high > 1.0
    low, high = _style.focus(-values, "minimize")
    assert low < -1.0
    assert -0.91 < high < -0.7
    assert _style.focus(np.asarray([2.0]), "maximize") == pytest.approx((1.84, 2.16))


def test_plotting_changes_nothing_global(study):
    before = dict(matplotlib.rcParams)
    report.plot_parameter_values(study, "dropout").figure.draw_without_rendering()
    report.plot_optimization_history(study).figure.draw_without_rendering()
    assert dict(matplotlib.rcParams) == before


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "br", "image", "use", "path"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href"):
                self.links.append(value or "")

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass


@pytest.fixture(scope="module")
def page(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    return report.html(result, path).read_text(encoding="utf-8")


def test_a_page_needs_no_other_file_and_no_script(page):
    parsed = _Page()
    parsed.feed(page)
    assert not {"script", "link", "iframe", "img"} & set(parsed.tags)
    assert all(link.startswith(("#", "data:image/png")) for link in parsed.links)
    used = set(re.findall(r"url\(([^)]*)\)", page)) | set(parsed.links)
    local = {name[1:] for name in used if name.startswith("#")}
    assert local <= set(parsed.ids)
    assert not [name for name in used if "http" in name]


def test_a_page_tells_what_was_found_and_how(page, result):
    best = max(
        (t for t in result.trials if t.value is not None), key=lambda trial: trial.value
    )
    for told in (
        *("digits-ga", "Best validation accuracy", f"trial {best.number}"),
        *("Test accuracy", "0.9778", "program 4: width &lt;= 256", "compile", "7.4 s"),
        *("GeneticAlgorithm(population_size=64)", "seed", "jax ", "The best trials"),
        *("Where the population went", "41 s"),
        f"&#x27;depth&#x27;: {best.params['depth']},",
    ):
        assert told in page, told


def test_figures_of_a_page_follow_its_colours_and_share_no_id(page):
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 5
    seen: set[str] = set()
    for svg in drawings:
        mine = set(re.findall(r'\bid="([^"]*)"', svg))
        assert not mine & seen
        seen |= mine
        assert "aria-label=" in svg
        assert "var(--ink)" in svg
        assert _style.INK not in svg


def test_the_same_result_gives_the_same_page(page, result, tmp_path):
    again = report.html(result, tmp_path / "again.html")
    assert again.read_text(encoding="utf-8") == page


def test_what_users_name_is_escaped(build, tmp_path):
    study = build.study(trials=3, diverged=0.0, names=build.few)
    study.study_name = "<script>alert(1)</script>"
    for trial in study.trials:
        trial.params["<b>"] = "<i>"
    study.space.dimensions = {}
    text = report.html(study, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b>" not in text.replace("<b>0", "")
    assert "<i>" not in text


def test_a_large_study_makes_a_page_that_can_be_mailed(build, tmp_path):
    study = build.study(trials=3000, population=100, epochs=3, names=build.few)
    path = report.html(study, tmp_path / "report.html")
    assert path.stat().st_size < 5e6


def test_matplotlib_is_asked_for_by_its_extra(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'evotune\[plots\]'"):
        report.plot_optimization_history(study)


def test_the_package_imports_no_matplotlib_and_plots_need_no_pyplot():
    code = (
        "import sys, types; evotune = types.ModuleType('evotune');"
        "evotune.__path__ = ['evotune']; sys.modules['evotune'] = evotune;"
        "import evotune.report as report;"
        "print({'matplotlib', 'jax', 'pandas'} & set(sys.modules));"
        "trial = types.SimpleNamespace(number=0, value=1.0, params={'a': 1}, curves={},"
        " state=types.SimpleNamespace(name='COMPLETE'), generation=0);"
        "study = types.SimpleNamespace(trials=[trial], direction='minimize');"
        "report.plot_parameters(study).draw_without_rendering();"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["set()", "False"]
