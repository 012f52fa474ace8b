"""Random assignment of recordings to annotators, of some to several people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ser_core.errors import AnnotationsRefused

MAX_ANNOTATORS = 100


@dataclass(frozen=True)
class AssignmentPlan:
    """How recordings are assigned.

    Attributes
    ----------
    overlap : float
        Share of the recordings, 0 to 1, that several people annotate.
    people : int
        Number of annotators of each of these; every other recording has one.
    seed : int
    """

    overlap: float = 0.2
    people: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 1:
            raise AnnotationsRefused(f"An overlap of {self.overlap:g} is not possible; choose 0 to 1.")
        if self.people < 2:
            raise AnnotationsRefused(f"{self.people} people make no overlap; choose 2 or more.")
        if self.seed < 0:
            raise AnnotationsRefused(f"The seed {self.seed} is not possible; choose 0 or more.")

    def in_words(self) -> str:
        """Return the plan in words.

        >>> AssignmentPlan().in_words()
        '1 person each, 20 % by 2 people, seed 0'
        """
        if not self.overlap:
            return f"1 person each, seed {self.seed}"
        return f"1 person each, {100 * self.overlap:g} % by {self.people} people, seed {self.seed}"


def draw_assignments(
    recordings: Sequence[str],
    annotators: Sequence[str],
    plan: AssignmentPlan,
    load: Mapping[str, int] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Draw annotators for recordings, so that their numbers of recordings differ by at most one.

    Among annotators with the fewest recordings, pairs that share the fewest so far are preferred, so that everybody can
    be compared with everybody; the rest is random. The same arguments, in any order, give the same result.

    Parameters
    ----------
    recordings : sequence of str
        Unique names, such as SHA-256.
    load : mapping of str to int, optional
        Number of recordings that annotators have already.

    Raises
    ------
    AnnotationsRefused
        If there are no annotators, or fewer than people for the same recording.
    """
    names = sorted(set(annotators))
    if not 1 <= len(names) <= MAX_ANNOTATORS:
        raise AnnotationsRefused(f"{len(names)} annotators cannot share the recordings; choose 1 to {MAX_ANNOTATORS}.")
    overlap_count = round(plan.overlap * len(recordings))
    if overlap_count and len(names) < plan.people:
        raise AnnotationsRefused(
            f"{plan.people} people are to annotate the same recordings, and {len(names)} can; name more, or set the "
            "overlap to 0."
        )
    generator = np.random.default_rng(plan.seed)
    assigned_count, shared = {name: (load or {}).get(name, 0) for name in names}, Counter()
    drawn = {}
    for number, recording in enumerate(generator.permutation(sorted(recordings)).tolist()):
        tie_breaker, chosen = dict(zip(names, generator.random(len(names)).tolist(), strict=True)), []
        for _ in range(plan.people if number < overlap_count else 1):
            free = [name for name in names if name not in chosen]
            ranks = {
                name: (assigned_count[name], sum(shared[name, other] for other in chosen), tie_breaker[name])
                for name in free
            }
            chosen.append(min(free, key=ranks.__getitem__))
        for name in chosen:
            assigned_count[name] += 1
        for one, other in combinations(chosen, 2):
            shared[one, other] += 1
            shared[other, one] += 1
        drawn[recording] = tuple(sorted(chosen))
    return drawn
