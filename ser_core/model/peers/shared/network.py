"""The base class of all networks here: a front end, maps, features and a head."""

from typing import Any, ClassVar

from torch import Tensor, nn

from ser_core.settings import FrontEnd, SegmentSettings, SelectionSettings

#: The peers select no segments.
SEGMENTS = FrontEnd(selection=SelectionSettings("none"))
WHOLE_RECORDING = FrontEnd(segments=SegmentSettings(segment_frames=None), selection=SelectionSettings("none"))


class BaselineNetwork(nn.Module):
    """A network that turns maps into features and classifies them with a last layer.

    A subclass defines `maps(segments)`, a dict of maps (n, channels, h, w) for Grad-CAM over time and frequency, and
    `features(maps)`, (n, features_count). A map without a frequency axis has width 1.

    Attributes
    ----------
    front_end : FrontEnd
        Segments of 0.96 s, or the recording as a whole with any number of frames, at least 96.
    search : tuple of dict
        Candidates for fields of `ser_core.learning.plan.TrainingSettings`; the best on the validation speakers are
        used. Empty: no search.
    """

    front_end: ClassVar[FrontEnd] = SEGMENTS
    search: ClassVar[tuple[dict[str, Any], ...]] = ()

    def __init__(self, classes: int, features_count: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.features_count = features_count
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features_count, classes)

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        """Return the maps for segments (n, 1, frames, bands)."""
        raise NotImplementedError

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the features (n, features_count) of the maps."""
        raise NotImplementedError

    def classify(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the logits (n, classes) of the maps."""
        return self.head(self.dropout(self.features(maps)))

    def forward(self, segments: Tensor) -> Tensor:
        """Return the logits (n, classes) for segments (n, 1, frames, bands)."""
        return self.classify(self.maps(segments))
