"""Where the time of an engine went, by program."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from evotune.engine._peak import peak_flops
from evotune.engine._plan import ProgramSpec, table
from evotune.engine._schedule import Block
from evotune.engine._search_cost import SearchCost
from evotune.engine._shares import Shares, Span, shares_of


@dataclasses.dataclass(kw_only=True)
class ProgramProfile:
    """What one program has done so far.

    Attributes:
        spec: What it is.
        blocks: Calls.
        seconds: Spent in them, from the arguments to the results.
        member_epochs: Epochs that members trained, over all of them.
        lane_epochs: Epochs that lanes were there for, over all of them.
        finished: Members that came to their stop.
    """

    spec: ProgramSpec
    blocks: int = 0
    seconds: float = 0.0
    member_epochs: int = 0
    lane_epochs: int = 0
    finished: int = 0

    @property
    def utilisation(self) -> float:
        """Share of the lanes' epochs that trained somebody; NaN before the first."""
        return self.member_epochs / self.lane_epochs if self.lane_epochs else np.nan

    @property
    def flops(self) -> float:
        """Operations a second in matrix products, padding and idle lanes included.

        A multiply-add counts as two. NaN before the first block, and where the
        arithmetic of the task is not known.
        """
        if not self.seconds or not self.spec.epoch_work:
            return np.nan
        return 2.0 * self.spec.epoch_work * self.lane_epochs / self.seconds


class Profile:
    """Counts blocks, epochs and seconds; ``print`` shows them.

    Attributes:
        programs: One entry a program, in the order of the plan.
        compile_seconds: From the start of tracing to the end of the last compilation.
        compiling: The same, as the time when it began and ended.
        search: What the search itself took.
        total_seconds: Of the whole run; NaN until it has ended.
    """

    def __init__(self, specs: Sequence[ProgramSpec]):
        """Nothing has run yet."""
        self.programs = [ProgramProfile(spec=spec) for spec in specs]
        self.compile_seconds = 0.0
        self.compiling: Span = (0.0, 0.0)
        self.search = SearchCost()
        self.total_seconds = np.nan
        self._ended = 0.0
        self._blocks: list[tuple[Span, float | None]] = []

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
    def train_seconds(self) -> float:
        """In which the devices were at work on blocks, evaluation included."""
        return sum(program.seconds for program in self.programs)

    @property
    def host_seconds(self) -> float:
        """In which devices waited for the journal, decoding, callbacks.

        NaN until the run has ended. Seconds of compiling and of the search are not
        among them.
        """
        return self.total_seconds * self.shares().host

    def shares(self, seconds: float | None = None) -> Shares:
        """What became of the time: compiling, training, evaluating, search, host, idle.

        Args:
            seconds: Of the last so many; None of the whole run, which is NaN before it
                has ended.
        """
        if seconds is not None:
            ended = time.perf_counter()
        else:
            ended, seconds = self._ended, float(np.nan_to_num(self.total_seconds))
        window = ended - seconds, ended
        return shares_of(window, self._blocks, self.compiling, self.search.spans)

    def end(self, total_seconds: float) -> None:
        """Notes that the whole run ends now, and how long it took."""
        self.total_seconds, self._ended = total_seconds, time.perf_counter()

    @property
    def members_per_second(self) -> float:
        """Members that came to their stop, a second of training."""
        finished = sum(program.finished for program in self.programs)
        return finished / self.train_seconds if self.train_seconds else np.nan

    def time(self, program: int, seconds: float) -> None:
        """Notes how long a block took, which ends now."""
        found, now = self.programs[program], time.perf_counter()
        found.seconds += seconds
        self._blocks.append(((now - seconds, now), found.spec.evaluation))

    def count(self, block: Block, trained: np.ndarray, finished: int) -> None:
        """Notes what a block did.

        Args:
            block: What was trained.
            trained: i64[jobs] epochs that each member has trained, cumulative.
            finished: How many of them have come to their stop.
        """
        found = self.programs[block.program]
        ran = np.clip(trained - block.start, 0, None)
        found.blocks += 1
        found.member_epochs += int(np.sum(ran))
        found.lane_epochs += block.lanes * int(np.max(ran, initial=0))
        found.finished += finished

    def __str__(self) -> str:
        lines = [
            f"Profile: {self.compile_seconds:.1f} s compiling, "
            f"{self.train_seconds:.1f} s training, {self.host_seconds:.1f} s on the "
            f"host; {self.members_per_second:.3g} members a second of training, "
            f"{self.utilisation:.0%} of the lanes used"
        ]
        if self.total_seconds > 0.0:
            lines.append(f"  of the time, devices {self.shares()}")
        if self.search.proposals:
            lines.append(f"  {self.search}")
        if any(program.spec.epoch_work for program in self.programs):
            lines.append(
                f"  the devices reach {peak_flops() / 1e9:.3g} GFLOP/s in one large "
                "matrix product each"
            )
        header = ("program", "blocks", "seconds", "members", "lanes used", "GFLOP/s")
        rows = [
            (
                program.spec.name,
                str(program.blocks),
                f"{program.seconds:.2f}",
                str(program.finished),
                f"{program.utilisation:.0%}",
                f"{program.flops / 1e9:.3g}",
            )
            for program in self.programs
            if program.blocks
        ]
        return "\n".join([*lines, *table(header, rows)])
