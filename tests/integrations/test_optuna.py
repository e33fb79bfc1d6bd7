"""Optuna's samplers here, and evotune's algorithms there."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

import evotune as et
from evotune.integrations.optuna import (
    EvotuneSampler,
    OptunaSearch,
    from_distributions,
    to_distributions,
)
from evotune.testing import AlgorithmContract

optuna.logging.set_verbosity(optuna.logging.ERROR)

SPACE = et.Space(
    rate=et.Float(1e-4, 1e-1, log=True),
    dropout=et.Float(0.0, 0.5, step=0.125),
    width=et.Int(8, 64, log=True),
    layers=et.Int(1, 9, step=2),
    activation=et.Categorical(["relu", "tanh", "gelu"]),
    residual=et.Bool(),
)


class TestOptunaSearch(AlgorithmContract):
    """TPE keeps the contract of every algorithm."""

    algorithm = OptunaSearch(batch_size=8, trials=64)


def bowl(params) -> float:
    return (np.log10(params["rate"]) + 2.0) ** 2 + (params["activation"] != "tanh")


def test_spaces_survive_the_way_there_and_back() -> None:
    found = from_distributions(to_distributions(SPACE))
    assert found == SPACE


def test_single_values_become_constants() -> None:
    one = {"a": optuna.distributions.IntDistribution(3, 3)}
    two = {"b": optuna.distributions.CategoricalDistribution(["x"])}
    three = {"c": optuna.distributions.IntDistribution(1, 3)}
    space = from_distributions({**one, **two, **three})
    assert space.constants == {"a": 3, "b": "x"}
    assert list(space.names) == ["c"]


def test_conditions_are_refused_with_the_name() -> None:
    space = et.Space(
        optimizer=et.Categorical(["sgd", "adam"]),
        momentum=et.Float(0.0, 0.99, when={"optimizer": "sgd"}),
    )
    with pytest.raises(et.SpaceError, match="'momentum' has a condition"):
        to_distributions(space)


def test_what_distributions_do_not_know_is_refused_with_the_name() -> None:
    space = et.Space(
        rate=et.Float(0.0, 1.0, prior=et.space.Beta(2, 5)),
        kind=et.Categorical(["a", "b"], weights=[2, 1]),
        size=et.space.Ordinal([8, 16, 64]),
        constraints=["size < 64 or rate < 0.5"],
    )
    with pytest.raises(et.SpaceError, match="has 3 problems") as caught:
        to_distributions(space)
    for words in ("'rate' has a prior", "'kind' has weights", "'size < 64 or rate < 0"):
        assert words in str(caught.value)
    ordinal = to_distributions(et.Space(size=et.space.Ordinal([8, 16, 64])))
    assert from_distributions(ordinal)["size"] == et.Categorical([8, 16, 64])


def test_orders_are_no_distributions_but_samplers_search_their_axes() -> None:
    space = et.Space(order=et.space.Permutation("abcd"[i] for i in range(4)))
    with pytest.raises(et.SpaceError, match=r"'order' is an order.*`OptunaSearch`"):
        to_distributions(space)
    study = et.Study(space, algorithm=OptunaSearch(batch_size=8), seed=0)
    for _ in range(2):
        trials = study.ask(8)
        assert all(sorted(trial["order"]) == list("abcd") for trial in trials)
        study.tell(trials, [trial["order"].index("d") for trial in trials])


def test_a_search_by_tpe_finds_what_random_search_does_not() -> None:
    """64 trials in batches of 8, on eight paired seeds."""
    best = {}
    for name, algorithm in {
        "tpe": OptunaSearch(batch_size=8),
        "random": et.RandomSearch(batch_size=8),
    }.items():
        best[name] = []
        for seed in range(8):
            study = et.Study(SPACE, algorithm=algorithm, seed=seed)
            for _ in range(8):
                trials = study.ask(8)
                study.tell(trials, [bowl(trial) for trial in trials])
            best[name].append(study.best_value)
    wins = np.mean(np.asarray(best["tpe"]) < np.asarray(best["random"]))
    assert wins >= 0.6, best


def test_a_batch_has_no_trial_twice() -> None:
    study = et.Study(SPACE, algorithm=OptunaSearch(batch_size=16), seed=0)
    for _ in range(3):
        trials = study.ask(16)
        assert len({tuple(trial.values()) for trial in trials}) == 16
        study.tell(trials, [bowl(trial) for trial in trials])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sampler": "CmaEsSampler"}, "keeps a state"),
        ({"sampler": optuna.samplers.NSGAIISampler}, "keeps a state"),
        ({"sampler": "TPESampla"}, "Did you mean 'TPESampler'"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_wrong_settings_are_named(settings, words) -> None:
    with pytest.raises(ValueError, match=words):
        OptunaSearch(**settings)


def suggest_all(trial: optuna.Trial) -> float:
    params = {
        name: trial._suggest(name, distribution)
        for name, distribution in to_distributions(SPACE).items()
    }
    return bowl(params)


def test_the_sampler_beats_random_in_optunas_own_study() -> None:
    """96 trials one after the other, on six paired seeds."""
    best = {}
    for name, make in {
        "evotune": lambda seed: EvotuneSampler(SPACE, seed=seed),
        "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    }.items():
        best[name] = []
        for seed in range(6):
            study = optuna.create_study(sampler=make(seed))
            study.optimize(suggest_all, n_trials=96)
            best[name].append(study.best_value)
    wins = np.mean(np.asarray(best["evotune"]) < np.asarray(best["random"]))
    assert wins >= 0.6, best


def test_the_same_seed_gives_the_same_trials() -> None:
    found = []
    for _ in range(2):
        study = optuna.create_study(sampler=EvotuneSampler(seed=3))
        study.optimize(suggest_all, n_trials=40)
        found.append([trial.params for trial in study.trials])
    assert found[0][1:] == found[1][1:]
    assert len({str(params) for params in found[0]}) > 30


def test_foreign_pruned_failed_and_enqueued_trials_do_no_harm() -> None:
    study = optuna.create_study(direction="maximize", sampler=EvotuneSampler(SPACE))
    width = optuna.distributions.IntDistribution(1, 2)
    study.add_trial(
        optuna.trial.create_trial(params={"w": 1}, distributions={"w": width}, value=1)
    )
    study.enqueue_trial({"rate": 0.01, "activation": "tanh"})

    def objective(trial: optuna.Trial) -> float:
        value = -suggest_all(trial)
        if trial.number % 5 == 3:
            raise optuna.TrialPruned
        if trial.number % 5 == 4:
            raise RuntimeError("on purpose")
        return value

    study.optimize(objective, n_trials=40, catch=(RuntimeError,))
    states = [trial.state.name for trial in study.trials]
    assert {"COMPLETE", "PRUNED", "FAIL"} == set(states)
    assert study.trials[1].params["rate"] == 0.01


def test_trials_run_at_once() -> None:
    study = optuna.create_study(sampler=EvotuneSampler(SPACE, seed=0))
    study.optimize(suggest_all, n_trials=40, n_jobs=4)
    assert len({str(trial.params) for trial in study.trials}) == 40


def test_several_objectives_are_refused() -> None:
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=EvotuneSampler(SPACE)
    )
    with pytest.raises(ValueError, match="one objective"):
        study.optimize(lambda t: (suggest_all(t), 0.0), n_trials=2)
