"""All settings that a person or a model card may choose, with their defaults; names contain units."""

from dataclasses import dataclass, field, fields, is_dataclass, replace
from math import ceil, inf
from typing import Any

from ser_core.errors import SettingsRefused


@dataclass(frozen=True)
class AudioLimits:
    """Limits of accepted audio. Decoding stops at `longest_s`, regardless of the file's header.

    `max_samples` bounds the memory of a recording: 230 MB, or ten minutes at 96 kHz.
    """

    shortest_s: float = 0.1
    longest_s: float = 600.0
    max_samples: int = 57_600_000
    max_channels: int = 8
    lowest_rate_hz: int = 4_000
    highest_rate_hz: int = 192_000
    largest_file_bytes: int = 200 * 2**20


#: Limits of recordings that are processed in blocks: two hours, and the largest size of a WAV file.
LONG_RECORDING = AudioLimits(longest_s=7_200.0, max_samples=7_200 * 192_000, largest_file_bytes=4 * 2**30)

#: Limits of what a model card's settings may cost: for ten minutes of audio, the bytes of each of the log-mel
#: spectrogram, all segments, and the correlations between segments (by default 15, 31 and 13 MB); and the samples
#: transformed per second (by default 120 000).
MAX_ARRAY_BYTES = 2**27
MAX_FFT_SAMPLES_PER_S = 2**20
MAX_FFT_SAMPLES, MAX_BANDS, MAX_FRAMES_PER_S = 2**14, 256, 500
#: Segment scores lie between -1 and 1, so larger thresholds make no difference.
MAX_THRESHOLD = 100
#: Maximum length of a recording that is one segment, because memory grows with it: 60 s by default.
MAX_WHOLE_FRAMES = 6_000


@dataclass(frozen=True)
class SpectrogramSettings:
    """Tables 2 and 3 of Kim and Kwak 2024, with the band limits of AudioSet's front end."""

    sample_rate_hz: int = 48_000
    window_samples: int = 1_200
    hop_samples: int = 480
    fft_samples: int = 1_200
    bands: int = 64
    low_hz: float = 125.0
    high_hz: float = 7_500.0
    log_offset: float = 0.001

    def __post_init__(self) -> None:
        counts = (self.sample_rate_hz, self.window_samples, self.hop_samples, self.fft_samples, self.bands)
        possible = (
            all(isinstance(count, int) for count in counts)
            and 4_000 <= self.sample_rate_hz <= 96_000
            and 1 <= self.hop_samples <= self.window_samples <= self.fft_samples <= MAX_FFT_SAMPLES
            and 1 <= self.bands <= min(self.fft_samples, MAX_BANDS)
            and 0 <= self.low_hz < self.high_hz <= self.sample_rate_hz / 2
            and 1e-30 < self.log_offset < 1  # smaller values vanish in float32
        )
        if not possible:
            raise SettingsRefused(
                "A spectrogram needs a sample rate of 4 000 to 96 000 Hz, hop <= window <= FFT, an FFT of at most "
                f"{MAX_FFT_SAMPLES} samples, 1 to {MAX_BANDS} bands below half the sample rate, and an offset below "
                f"1. These are {self}. Correct them."
            )
        frames_per_s = self.sample_rate_hz / self.hop_samples
        if frames_per_s > MAX_FRAMES_PER_S or frames_per_s * self.fft_samples > MAX_FFT_SAMPLES_PER_S:
            raise SettingsRefused(
                f"A hop of {self.hop_samples} samples at {self.sample_rate_hz} Hz with an FFT of {self.fft_samples} "
                f"costs too much: at most {MAX_FRAMES_PER_S} frames and {MAX_FFT_SAMPLES_PER_S} transformed samples "
                "are computed per second. Choose a longer hop or a shorter FFT."
            )

    @property
    def frame_hop_s(self) -> float:
        return self.hop_samples / self.sample_rate_hz

    @property
    def frame_start_s(self) -> float:
        """Start of frame 0 on the time axis. Each frame is placed at its middle hop, so that frames tile the axis."""
        return (self.window_samples - self.hop_samples) / 2 / self.sample_rate_hz

    @property
    def audioset_scale(self) -> float:
        """Factor from magnitudes here to those of AudioSet's front end (window of 400 samples, bins of 31.25 Hz).

        The magnitude of a steady tone grows with the window's length; a mel band sums bins, so it also grows with
        their density.
        """
        return (400 / self.window_samples) * ((self.sample_rate_hz / self.fft_samples) / (16_000 / 512))


@dataclass(frozen=True)
class SegmentSettings:
    """Segments, by default of 0.96 s and half overlapping. `segment_frames` None: the recording is one segment."""

    segment_frames: int | None = 96
    hop_frames: int = 48

    def __post_init__(self) -> None:
        counts = (1 if self.segment_frames is None else self.segment_frames, self.hop_frames)
        if not all(isinstance(count, int) and 1 <= count <= MAX_WHOLE_FRAMES for count in counts):
            raise SettingsRefused(
                f"The length and the hop of segments must be whole numbers of frames, 1 to {MAX_WHOLE_FRAMES}."
            )


@dataclass(frozen=True)
class SelectionSettings:
    """Gaussian data selection: the rule (`minmax`, `guarded` or `none`) and the score a segment must exceed."""

    rule: str = "guarded"
    threshold: float = 0.1

    def __post_init__(self) -> None:
        if self.rule not in ("minmax", "guarded", "none"):
            raise SettingsRefused(f"Unknown selection rule '{self.rule}'; choose minmax, guarded or none.")
        if not isinstance(self.threshold, (int, float)) or not abs(self.threshold) <= MAX_THRESHOLD:
            raise SettingsRefused(f"A selection threshold of {self.threshold!s:.20} is impossible; choose 0 to 1.")


@dataclass(frozen=True)
class FrontEnd:
    """Everything between a recording and the network; stored in the model card.

    Raises
    ------
    SettingsRefused
        If any array computed from ten minutes of audio would exceed `MAX_ARRAY_BYTES`.
    """

    spectrogram: SpectrogramSettings = field(default_factory=SpectrogramSettings)
    segments: SegmentSettings = field(default_factory=SegmentSettings)
    selection: SelectionSettings = field(default_factory=SelectionSettings)

    def __post_init__(self) -> None:
        bands, length, hop = self.spectrogram.bands, self.segments.segment_frames, self.segments.hop_frames
        frames = ceil(AudioLimits.longest_s / self.spectrogram.frame_hop_s)
        count, length = (1, MAX_WHOLE_FRAMES) if length is None else (ceil(frames / hop), length)
        cost_bytes = {
            "spectrogram": frames * bands * 4,
            "segments": count * length * bands * 4,
            "correlations between segments": count**2 * 8,
        }
        what, largest = max(cost_bytes.items(), key=lambda item: item[1])
        if largest > MAX_ARRAY_BYTES:
            raise SettingsRefused(
                f"The {what} of ten minutes of audio would take {largest / 2**20:.0f} MiB; at most "
                f"{MAX_ARRAY_BYTES // 2**20} MiB are allowed. Choose fewer bands, or longer hops."
            )


@dataclass(frozen=True)
class F0Settings:
    """How F0 is measured; frame i is at (i + 0.5) x `hop_s`.

    The limits are those of speech, including shouting. Without the upper one the detector mistakes overtones for F0.
    """

    hop_s: float = 0.01
    floor_hz: float = 60.0
    ceiling_hz: float = 800.0

    @property
    def corrected_hz(self) -> tuple[float, float]:
        """The range of F0 corrected by hand: an octave wider, for creaky voice and whistles."""
        return self.floor_hz / 2, 2 * self.ceiling_hz


@dataclass(frozen=True)
class VoiceSettings:
    """How much a speaker's own normal counts; stored in the card of a model that supports it.

    Attributes
    ----------
    shrinkage_recordings : float
        The normal of n recordings is weighted by n / (n + shrinkage_recordings).
    softening : float
        Logits are divided by it before emotions are counted (see `ser_core.model.voice.balancing_shift`).
    known_temperature : float
        Temperature for a fully known voice, as a fraction of that for unknown voices; below 1, scores are more certain.
    one_emotion_spread, mixed_spread : float
        Spread is how clearly these recordings fall into different emotions, 0 to 1. The normal counts fully from
        `mixed_spread` on, less below it, and not at all below `one_emotion_spread`.
    """

    shrinkage_recordings: float = 5.0
    softening: float = 4.0
    known_temperature: float = 0.66
    one_emotion_spread: float = 0.6
    mixed_spread: float = 0.75

    def __post_init__(self) -> None:
        if not (0 <= self.shrinkage_recordings < inf and 0.1 <= self.softening < inf):
            raise SettingsRefused(
                "A voice's normal needs a shrinkage of at least 0 recordings and a softening of at least 0.1."
            )
        if not 0.1 <= self.known_temperature <= 10:
            raise SettingsRefused("The temperature for a known voice must be 0.1 to 10 times that for unknown ones.")
        if not -10 < self.one_emotion_spread < self.mixed_spread <= 1:
            raise SettingsRefused(
                f"Spreads of {self.one_emotion_spread:g} and {self.mixed_spread:g} give no range; "
                "choose two numbers up to 1, the lower one first."
            )


@dataclass(frozen=True)
class GradCamSettings:
    """`layer` None: the model's own default."""

    layer: str | None = None


@dataclass(frozen=True)
class OcclusionSettings:
    """A box that moves by its strides; `fill` is band_mean, noise_floor or random."""

    window_frames: int = 16
    window_bands: int = 8
    stride_frames: int = 8
    stride_bands: int = 4
    fill: str = "noise_floor"

    def __post_init__(self) -> None:
        if not (1 <= self.stride_frames <= self.window_frames and 1 <= self.stride_bands <= self.window_bands):
            raise SettingsRefused("Occlusion's strides must be at least 1 and at most the size of its box.")


@dataclass(frozen=True)
class LimeSettings:
    """Cells of `cell_frames` x `cell_bands`, hidden by at most `masks` masks in each window of `window_frames`.

    An odd number of masks counts as one less. Once the stability of the map reaches `stable_at`, no more are tried.
    """

    cell_frames: int = 16
    cell_bands: int = 8
    window_frames: int = 16
    masks: int = 96
    stable_at: float = 0.9
    kernel_width: float = 0.25
    fill: str = "noise_floor"

    def __post_init__(self) -> None:
        if not 2 <= self.masks <= 20_000:
            raise SettingsRefused(f"LIME cannot use {self.masks} masks; choose 2 to 20 000.")
        if min(self.cell_frames, self.cell_bands, self.window_frames) < 1:
            raise SettingsRefused("LIME's cells and windows must have at least one frame and one band.")


@dataclass(frozen=True)
class OnePassSettings:
    """No settings: One pass has no parameters."""


@dataclass(frozen=True)
class FocusSettings:
    """How a map becomes a profile over time, and the profile becomes focus regions.

    Attributes
    ----------
    threshold : float or None
        Focus lies where the profile exceeds this share of its highest value; 0 is the published rule. None: `share`
        decides.
    share : float or None
        About how much of the speech is focus. None: the smallest share with which the verdict stays the same on the
        focus alone and changes without it.
    max_regions : int
        Without a threshold, only this many regions remain, those with the most evidence.
    weakest_region : float
        Without a threshold, only regions with at least this share of the strongest region's evidence remain.
    snap_s : float
        Without a threshold, how far a bound may move to a dip of energy.
    """

    smoothing_s: float = 0.20
    threshold: float | None = None
    share: float | None = None
    shortest_region_s: float = 0.10
    longest_closed_gap_s: float = 0.10
    max_regions: int = 4
    weakest_region: float = 0.0
    snap_s: float = 0.06
    fade_s: float = 0.005

    @property
    def is_open(self) -> bool:
        """Whether the model decides how much of the speech is focus."""
        return self.threshold is None and self.share is None

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing_s <= 2:
            raise SettingsRefused(f"Smoothing over {self.smoothing_s:g} s is not possible; choose 0 to 2 s.")
        if self.threshold is not None and not 0 <= self.threshold < 1:
            raise SettingsRefused(
                f"A threshold of {self.threshold:g} is not a share of the profile's highest value; "
                "choose at least 0 and less than 1."
            )
        if self.share is not None and not 0 < self.share <= 1:
            raise SettingsRefused(
                f"A focus of {self.share:g} is not a share of the speech; choose more than 0 and at most 1."
            )


@dataclass(frozen=True)
class VerdictSettings:
    """Below these values the verdict is "not sure" or "no speech" instead of an emotion.

    With a calibrated temperature, a best score below one half is more likely wrong than right.
    """

    least_score: float = 0.5
    least_speech_s: float = 0.25


@dataclass(frozen=True)
class AnalysisSettings:
    """All settings of an analysis: the same settings, recording and model give the same result.

    Attributes
    ----------
    emotion : str or None
        Emotion to explain; None: the one with the best score.
    against : str or None
        Emotion to contrast it with; None: all others together.
    stretch_s : (start, end) or None
        None: the whole recording, or its best `default_stretch_s` if it is longer than `longest_stretch_s`.
    explain : tuple of str
        Methods that draw maps: any of grad_cam, lime, occlusion.
    focus_by : str or None
        The method that gives the profile and the focus: time_consensus, lime_time, one_pass, or one that draws maps.
        None: no focus.
    lime_time : LimeSettings
        For LIME over time, whose cells span all bands.
    """

    emotion: str | None = None
    against: str | None = None
    stretch_s: tuple[float, float] | None = None
    explain: tuple[str, ...] = ("grad_cam", "lime", "occlusion")
    focus_by: str | None = "time_consensus"
    seed: int = 0
    longest_stretch_s: float = 30.0
    default_stretch_s: float = 15.0
    grad_cam: GradCamSettings = field(default_factory=GradCamSettings)
    occlusion: OcclusionSettings = field(default_factory=OcclusionSettings)
    lime: LimeSettings = field(default_factory=LimeSettings)
    lime_time: LimeSettings = field(default_factory=lambda: LimeSettings(16, MAX_BANDS, 320, masks=64, stable_at=1.0))
    one_pass: OnePassSettings = field(default_factory=OnePassSettings)
    focus: FocusSettings = field(default_factory=FocusSettings)
    verdict: VerdictSettings = field(default_factory=VerdictSettings)

    @property
    def time_consensus(self) -> LimeSettings:
        """The settings of LIME over time; One pass, the other half of the consensus, has none."""
        return self.lime_time

    def drafted(self) -> "AnalysisSettings":
        """Return the same settings with coarser cells and boxes, which take a fifth of the time."""
        boxes = replace(self.occlusion, window_frames=32, window_bands=16, stride_frames=16, stride_bands=8)
        cells = replace(self.lime, cell_frames=32, cell_bands=16, window_frames=32, masks=16)
        times = replace(self.lime_time, cell_frames=32, masks=16)
        return replace(self, occlusion=boxes, lime=cells, lime_time=times)


def settings_from_dict(kind: type, values: dict[str, Any]) -> Any:
    """Rebuild settings, including nested ones, from `dataclasses.asdict` and JSON.

    Raises
    ------
    SettingsRefused
        If a name is unknown, so that a misspelt or newer card is never silently accepted.
    """
    known = {f.name: f.type for f in fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SettingsRefused(f"{kind.__name__} has no setting {', '.join(unknown)}; it has {', '.join(known)}.")
    wrong = sorted(name for name, value in values.items() if is_dataclass(known[name]) != isinstance(value, dict))
    if wrong:
        raise SettingsRefused(f"{kind.__name__} has unreadable settings: {', '.join(wrong)}.")
    nested = {name: known[name] for name, value in values.items() if isinstance(value, dict)}
    rebuilt = {
        name: settings_from_dict(nested[name], value) if name in nested else _with_tuples(value)
        for name, value in values.items()
    }
    return kind(**rebuilt)


def _with_tuples(value: Any) -> Any:
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value
