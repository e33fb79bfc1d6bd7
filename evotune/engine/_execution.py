"""Training a block: its arguments put on the devices, its members fetched, one call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from evotune._contracts import Binding
from evotune.engine._feed import Visit, train_fed
from evotune.engine._gathering import gathered
from evotune.engine._inputs import Input
from evotune.engine._member import Member
from evotune.engine._preparation import Preparation
from evotune.engine._profile import Profile
from evotune.engine._program import Program
from evotune.engine._schedule import Block


class Execution:
    """Runs blocks on the programs of a plan."""

    def __init__(
        self,
        programs: Sequence[Program],
        inputs: Sequence[Input],
        preparation: Preparation,
        seed: np.ndarray,
        profile: Profile,
    ):
        """Takes what all blocks share.

        Args:
            programs: In the order of the plan.
            inputs: How each searched hyperparameter is bound.
            preparation: Has the data and their order, once it is finished.
            seed: u32[2] seed of the study.
            profile: Is told how long each block took.
        """
        self._programs, self._inputs = programs, inputs
        self._preparation, self._seed, self._profile = preparation, seed, profile

    def __call__(self, block: Block) -> Member:
        """Trains a block, and waits for it.

        Returns:
            [lanes] members, the jobs' first.
        """
        began = time.perf_counter()
        program, data = self._programs[block.program], self._preparation.data
        jobs = [
            block.jobs[lane % len(block.jobs)] for lane in range(program.spec.lanes)
        ]
        leaves = {
            entry.name: entry.leaf([job.values[entry.name] for job in jobs])
            for entry in self._inputs
            if entry.binding is not Binding.STATIC
        }
        trial, replica, stop = np.asarray(
            [(*job.member, job.stop) for job in jobs], np.int32
        ).T
        rows = program.put((leaves, trial, replica, stop))
        span = np.asarray([block.start, block.stop], np.int32)
        seed, span = program.share((self._seed, span))

        def begin(data: Any) -> Member:
            if block.start == 0:
                members: Member = program.start(*rows[:3], data, seed)
                return members
            return gathered(
                program, [job.place for job in jobs if job.place is not None]
            )

        order = self._preparation.order(block.program)
        if program.stream is None:
            trained = program.train(begin(data), *rows, data, order, seed, span)
        else:
            visits = Visit.all(order, block.start, block.stop)
            trained = train_fed(program, begin, rows, stop, data, seed, visits)
        trained = jax.block_until_ready(trained)
        self._profile.time(block.program, time.perf_counter() - began)
        return trained
