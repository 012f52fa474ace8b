"""Which map to believe: what each says about the model, held against maps that know nothing of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ser_core.explanation.counterfactual import Counterfactual, find_counterfactual
from ser_core.explanation.faithfulness import Curves, MaskMetrics, curves_of, mask_metrics, reference_maps
from ser_core.explanation.relevance import ExplanationTarget, Perturbed, fill_values
from ser_core.model.classifier import Classifier
from ser_core.work.progress import Work

RANDOM_MAPS = 5
HOLDS, IN_PART, FAILS = "holds", "holds in part", "does not hold"


@dataclass(frozen=True, eq=False)
class Judgement:
    """How the model's evidence depends on what each map marks.

    Attributes
    ----------
    curves : dict of Curves
        Of each map.
    metrics : dict of MaskMetrics
        Of each map.
    energy : Curves
        Of the map that marks what is loud.
    random : list of Curves
        Of maps drawn by chance.
    flip : Counterfactual or None
        What would have to go for another emotion to be heard, by the map with the largest area; None where nothing
        that it marks does that.
    """

    curves: dict[str, Curves]
    metrics: dict[str, MaskMetrics]
    energy: Curves
    random: list[Curves]
    flip: Counterfactual | None

    def of(self, method: str) -> str:
        """Return the word for a map: whether its area is above every random map's, and above that of the energy."""
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
    """Take away, and put in, what each map (frames, bands) marks, and hear what that does to the evidence.

    Raises
    ------
    ValueError
        If no frame is covered.
    Cancelled
    """
    values = fill_values(target.log_mel, fill, np.random.default_rng(seed))
    perturbed = Perturbed(classifier.score, classifier.temperature, target, values, classifier.pooling)
    references = [reference_maps(target, seed + number) for number in range(RANDOM_MAPS)]
    strangers = {f"random {number}": of_seed["random"] for number, of_seed in enumerate(references)}
    known = {f"map {method}": map_ for method, map_ in maps.items()}
    asked = known | strangers | {"energy": references[0]["energy"]}
    curves = curves_of(asked, perturbed, target, Work(lambda done, text: work.report(0.8 * done, text), work.stop))
    best = max(maps, key=lambda method: curves[f"map {method}"].area)
    return Judgement(
        curves={method: curves[f"map {method}"] for method in maps},
        metrics={method: mask_metrics(map_, perturbed, target) for method, map_ in maps.items()},
        energy=curves["energy"],
        random=[curves[name] for name in strangers],
        flip=find_counterfactual(maps[best], perturbed, target, work.part(4, 5)),
    )
