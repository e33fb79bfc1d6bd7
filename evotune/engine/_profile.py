"""Where the time of an engine went, by program."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from evotune.engine._program import Program
from evotune.engine._schedule import Block


@dataclasses.dataclass(kw_only=True)
class ProgramProfile:
    """What one program has done so far.

    Attributes:
        name: Its name.
        blocks: Calls.
        seconds: Spent in them, from the arguments to the results.
        member_epochs: Epochs that members trained, over all of them.
        lane_epochs: Epochs that lanes were there for, over all of them.
    """

    name: str
    blocks: int = 0
    seconds: float = 0.0
    member_epochs: int = 0
    lane_epochs: int = 0

    @property
    def utilisation(self) -> float:
        """Share of the lanes' epochs that trained somebody; NaN before the first."""
        return self.member_epochs / self.lane_epochs if self.lane_epochs else np.nan


class Profile:
    """Counts blocks, epochs and seconds.

    Attributes:
        programs: One entry a program, in the order of the plan.
    """

    def __init__(self, names: Sequence[str]):
        """Nothing has run yet."""
        self.programs = [ProgramProfile(name=name) for name in names]

    @property
    def utilisation(self) -> float:
        """Share of all lanes' epochs that trained somebody; NaN before the first.

        Lanes idle where a generation has fewer members left than a block has lanes,
        and where members of a block end before its last epoch.
        """
        lane_epochs = sum(program.lane_epochs for program in self.programs)
        trained = sum(program.member_epochs for program in self.programs)
        return trained / lane_epochs if lane_epochs else np.nan

    @property
    def seconds(self) -> float:
        """In which the devices were at work on blocks."""
        return sum(program.seconds for program in self.programs)

    def time(self, program: int, seconds: float) -> None:
        """Notes how long a block took."""
        self.programs[program].seconds += seconds

    def count(self, block: Block, program: Program, trained: np.ndarray) -> None:
        """Notes what a block did.

        Args:
            block: What was trained.
            program: Its program.
            trained: i64[jobs] epochs that each member has trained, cumulative.
        """
        found = self.programs[block.program]
        ran = np.clip(trained - block.start, 0, None)
        found.blocks += 1
        found.member_epochs += int(np.sum(ran))
        found.lane_epochs += program.spec.lanes * int(np.max(ran, initial=0))
