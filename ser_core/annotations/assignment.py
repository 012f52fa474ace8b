"""Who annotates what: recordings drawn for annotators, some of them for several people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ser_core.errors import AnnotationsRefused

MOST_ANNOTATORS = 100


@dataclass(frozen=True)
class AssignmentPlan:
    """How recordings are shared out.

    Attributes
    ----------
    overlap : float
        Share of the recordings, 0 to 1, that several people annotate.
    people : int
        How many annotate each of those; each other one has a single annotator.
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
    """Draw annotators for recordings, so that all have equally much to do, within one recording.

    Among those who have least to do, pairs that share the fewest recordings so far are preferred, so that everybody
    can be compared with everybody; the rest is chance. The same arguments give the same result, in whatever order
    recordings and annotators come.

    Parameters
    ----------
    recordings : sequence of str
        Names that differ, such as SHA-256.
    load : mapping of str to int, optional
        How much annotators have to do already.

    Raises
    ------
    AnnotationsRefused
        If there is nobody, or fewer people than are to annotate the same recording.
    """
    names = sorted(set(annotators))
    if not 1 <= len(names) <= MOST_ANNOTATORS:
        raise AnnotationsRefused(f"{len(names)} annotators cannot share the recordings; choose 1 to {MOST_ANNOTATORS}.")
    shared = round(plan.overlap * len(recordings))
    if shared and len(names) < plan.people:
        raise AnnotationsRefused(
            f"{plan.people} people are to annotate the same recordings, and {len(names)} can; name more, or set the "
            "overlap to 0."
        )
    generator = np.random.default_rng(plan.seed)
    to_do, together = {name: (load or {}).get(name, 0) for name in names}, Counter()
    drawn = {}
    for number, recording in enumerate(generator.permutation(sorted(recordings)).tolist()):
        luck, chosen = dict(zip(names, generator.random(len(names)).tolist(), strict=True)), []
        for _ in range(plan.people if number < shared else 1):
            free = [name for name in names if name not in chosen]
            chosen.append(
                min(free, key=lambda name: (to_do[name], sum(together[name, one] for one in chosen), luck[name]))
            )
        for name in chosen:
            to_do[name] += 1
        for one, other in combinations(chosen, 2):
            together[one, other] += 1
            together[other, one] += 1
        drawn[recording] = tuple(sorted(chosen))
    return drawn
