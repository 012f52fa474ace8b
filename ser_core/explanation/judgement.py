"""Which map to believe: the faithfulness of each, compared with maps that do not depend on the model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ser_core.explanation.counterfactual.cells import Counterfactual, find_counterfactual
from ser_core.explanation.faithfulness import Curves, MaskMetrics, curves_of, mask_metrics, reference_maps
from ser_core.explanation.relevance import ExplanationTarget, Perturbed, fill_values
from ser_core.model.classifier import Classifier
from ser_core.work.progress import Work

RANDOM_MAPS = 5
HOLDS, IN_PART, FAILS = "holds", "holds in part", "does not hold"


@dataclass(frozen=True, eq=False)
class Judgement:
    """The faithfulness of each map.

    Attributes
    ----------
    curves : dict of Curves
        By map.
    metrics : dict of MaskMetrics
        By map.
    energy : Curves
        The curves of the map of energy.
    random : list of Curves
        The curves of random maps.
    flip : Counterfactual or None
        The cells to remove for another emotion, in the order of the map with the largest area; None if removing all
        that it marks does not change the emotion.
    """

    curves: dict[str, Curves]
    metrics: dict[str, MaskMetrics]
    energy: Curves
    random: list[Curves]
    flip: Counterfactual | None

    def of(self, method: str) -> str:
        """Return `HOLDS` if a map's area exceeds that of energy and every random map, `IN_PART` if only the latter."""
        area = self.curves[method].area
        if area <= max(curves.area for curves in self.random):
            return FAILS
        return HOLDS if area > self.energy.area else IN_PART


def judge(
    maps: Mapping[str, np.ndarray],
    classifier: Classifier,
    target: ExplanationTarget,
    fill: str,
    seed: int,
    work: Work,
) -> Judgement:
    """Measure how the evidence changes as the cells that each map (frames, bands) marks are removed or inserted.

    Raises
    ------
    ValueError
        If no frame is covered.
    Cancelled
    """
    values = fill_values(target.log_mel, fill, np.random.default_rng(seed))
    perturbed = Perturbed.of_classifier(classifier, target, values)
    references = [reference_maps(target, seed + number) for number in range(RANDOM_MAPS)]
    random_maps = {f"random {number}": maps_of_seed["random"] for number, maps_of_seed in enumerate(references)}
    measured = {f"map {method}": map_ for method, map_ in maps.items()}
    measured |= random_maps | {"energy": references[0]["energy"]}
    curves = curves_of(measured, perturbed, target, work.part(0, 5 / 4))
    best = max(maps, key=lambda method: curves[f"map {method}"].area)
    return Judgement(
        curves={method: curves[f"map {method}"] for method in maps},
        metrics={method: mask_metrics(map_, perturbed, target) for method, map_ in maps.items()},
        energy=curves["energy"],
        random=[curves[name] for name in random_maps],
        flip=find_counterfactual(maps[best], perturbed, target, work.part(4, 5)),
    )
