"""What a family of scenarios consists of."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.bench import Bench
from benchmarks.figures import Verdict
from benchmarks.results import Results


class Family(NamedTuple):
    """`run` measures into the bench's results; `judge` reads them. Scenarios that were not measured are skipped lines."""

    name: str  # what --only takes
    run: Callable[[Bench], None]
    judge: Callable[[Results], Sequence[Verdict]] = lambda _results: ()
