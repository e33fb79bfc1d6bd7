"""The contract's own words: fields, sentinels, hashability, pytrees."""

from __future__ import annotations

import dataclasses
import math
import pickle

import jax
import jax.numpy as jnp
import pytest

from evotune import _contracts as contracts
from evotune.testing import GEOMETRIES


def test_proposal_has_the_fields_of_the_design_and_no_others() -> None:
    names = [field.name for field in dataclasses.fields(contracts.Proposal)]
    assert names == ["x", "trial", "replica", "source", "slot", "until", "horizon"]


def test_outcome_has_the_fields_of_the_design_and_no_others() -> None:
    names = [field.name for field in dataclasses.fields(contracts.Outcome)]
    assert names == [
        "trial",
        "replica",
        "x",
        "fitness",
        "constraints",
        "variance",
        "status",
        "spent",
        "curve",
        "curve_len",
    ]


def test_fresh_rows_start_alone_and_train_to_their_own_end() -> None:
    proposal = contracts.fresh(jnp.full((3, 2), 0.5), jnp.arange(3))
    assert (proposal.source == contracts.FRESH).all()
    assert (proposal.slot == contracts.DROP).all()
    assert all(math.isinf(value) for value in proposal.until.tolist())
    assert proposal.x.dtype == jnp.float32
    assert proposal.trial.dtype == jnp.int32


def test_pending_rows_carry_the_proposal_and_no_result() -> None:
    proposal = contracts.fresh(jnp.full((3, 2), 0.5), jnp.asarray([4, 5, -1]))
    outcome = contracts.pending(proposal, objectives=2, constraints=1, points=7)
    assert outcome.fitness.shape == (3, 2)
    assert outcome.constraints.shape == (3, 1)
    assert outcome.curve.shape == (3, 7)
    assert (outcome.status == contracts.Status.RUNNING).all()
    assert outcome.trial.tolist() == [4, 5, contracts.EMPTY]
    assert not jnp.isnan(outcome.fitness).any()


@pytest.mark.parametrize("name", GEOMETRIES)
def test_geometries_are_hashable_and_survive_pickling(name: str) -> None:
    geometry = GEOMETRIES[name]
    again = pickle.loads(pickle.dumps(geometry))
    assert again == geometry
    assert hash(again) == hash(geometry)


def test_proposals_pass_through_jit_and_tree_map() -> None:
    proposal = contracts.fresh(jnp.full((3, 2), 0.5), jnp.arange(3))
    same = jax.jit(lambda rows: jax.tree.map(lambda leaf: leaf + 0, rows))(proposal)
    assert isinstance(same, contracts.Proposal)
    assert same.trial.tolist() == [0, 1, 2]
