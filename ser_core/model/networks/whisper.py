"""The first blocks of Whisper's encoder, trained on 680 000 hours of speech, on log-mel segments."""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.errors import ModelRefused
from ser_core.front_end.torchaudio_import import torchaudio
from ser_core.settings import FrontEnd, SegmentSettings

#: Sizes of Whisper base (Radford et al. 2022, arXiv:2212.04356); the first three of its six blocks.
WIDTH, HEADS, BLOCKS = 512, 8, 3
MLP_WIDTH = 4 * WIDTH
DROPOUT = 0.3
BANDS, WHISPER_BANDS = 64, 80
#: The spectrogram that Whisper was trained on.
RATE_HZ, WINDOW_SAMPLES, HOP_SAMPLES = 16_000, 400, 160
#: Powers are raised to at least this many decades below the recording's highest, and to the floor.
RANGE_DECADES, POWER_FLOOR = 8, 1e-10
#: Positions of tokens, one every 20 ms; the published table has 1 500.
POSITIONS = 200
#: Added to every variance; otherwise the deviation of a constant channel would have no gradient.
VARIANCE_FLOOR = 1e-5


def whisper_log_mel(samples: np.ndarray) -> np.ndarray:
    """Return the log-mel spectrogram that Whisper was trained on.

    Parameters
    ----------
    samples : ndarray of shape (n,), float32
        At 16 kHz.

    Returns
    -------
    ndarray of shape (frames, 80), float32
        Frame j is centred on sample 160 j.

    References
    ----------
    Radford et al. 2022, arXiv:2212.04356, and whisper/audio.py of openai-whisper.
    """
    window = torch.hann_window(WINDOW_SAMPLES)
    sound = torch.tensor(np.ascontiguousarray(samples))
    spectrum = torch.stft(sound, WINDOW_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
    bands = torchaudio.functional.melscale_fbanks(
        WINDOW_SAMPLES // 2 + 1, 0.0, RATE_HZ / 2, WHISPER_BANDS, RATE_HZ, norm="slaney", mel_scale="slaney"
    )
    decades = (spectrum[:, :-1].abs().square().T @ bands).clamp_min(POWER_FLOOR).log10()
    return ((decades.maximum(decades.max() - RANGE_DECADES) + 4) / 4).numpy()


class Block(nn.Module):
    """A pre-norm transformer block: self-attention, then two layers with a GELU between them."""

    def __init__(self) -> None:
        super().__init__()
        self.attn_ln, self.mlp_ln = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, MLP_WIDTH), nn.GELU(), nn.Linear(MLP_WIDTH, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.attn_ln(tokens)
        query, key, value = (
            layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.out(attended)
        return tokens + self.mlp(self.mlp_ln(tokens))


class Whisper(nn.Module):
    """Two convolutions and three blocks; features are the mean and deviation of the tokens over time.

    An affine map turns each frame of 64 bands into the 80 bands that Whisper was trained on.

    References
    ----------
    Radford et al. 2022, arXiv:2212.04356.
    """

    features_count = 2 * WIDTH
    #: The last features, which are deviations over time.
    deviations_count = WIDTH
    #: The first channels of its map are tokens, which a decoder can read.
    token_channels = WIDTH
    #: Segments are longer than for other networks, because it was trained on whole sentences.
    front_end = FrontEnd(segments=SegmentSettings(240, 120))

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.bands = nn.Linear(BANDS, WHISPER_BANDS)
        self.conv1 = nn.Conv1d(WHISPER_BANDS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.positional_embedding = nn.Parameter(torch.zeros(POSITIONS, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(self.features_count, classes)

    def maps(self, segments: Tensor) -> dict[str, Tensor]:
        """Return a map (n, 1024, tokens, 1), over time only, for segments (n, 1, frames, 64).

        Its channels are those of the tokens, then their squared deviations from the mean over time. All features derive
        from the means of this map, so Grad-CAM, which weights channels by mean gradients, accounts for both kinds. On
        the tokens alone the gradients of a deviation would cancel out.
        """
        frames = self.bands(segments[:, 0]).transpose(1, 2)
        tokens = F.gelu(self.conv2(F.gelu(self.conv1(frames)))).transpose(1, 2)
        tokens = self.blocks(tokens + self.positional_embedding[: tokens.shape[1]]).transpose(1, 2)
        squares = (tokens - tokens.mean(dim=2, keepdim=True)).square()
        return {"whisper": torch.cat([tokens, squares], dim=1).unsqueeze(3)}

    def features(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the features (n, 1024): mean and standard deviation over time of each token channel."""
        means, variances = maps["whisper"].mean(dim=(2, 3)).chunk(2, dim=1)
        return torch.cat([means, (variances + VARIANCE_FLOOR).sqrt()], dim=1)

    def classify(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the logits (n, classes) of the maps."""
        return self.head(self.dropout(self.features(maps)))

    def forward(self, segments: Tensor) -> Tensor:
        """Return the logits (n, classes) for segments (n, 1, frames, 64)."""
        return self.classify(self.maps(segments))


def load_encoder_weights(network: Whisper, path: str | Path) -> None:
    """Load the published weights of Whisper base into the convolutions and blocks.

    Raises
    ------
    ModelRefused
        If the file is missing or does not contain the encoder's weights.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelRefused(
            f"{path.name}: the weights of Whisper's encoder are missing. Set SER_WHISPER_WEIGHTS to their file."
        )
    try:
        published = {_our_name(name): tensor.float() for name, tensor in load_file(path).items()}
        published["positional_embedding"] = published["positional_embedding"][:POSITIONS]
        missing, unexpected = network.load_state_dict(published, strict=False)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as reason:
        raise ModelRefused(f"{path.name}: these are not the weights of Whisper's encoder ({reason}).") from None
    wrong = [name for name in missing if not name.startswith(("bands.", "head."))] + unexpected
    if wrong:
        raise ModelRefused(f"{path.name}: these are not the weights of Whisper's encoder ({wrong[0]} does not fit).")


def _our_name(published: str) -> str:
    return published.replace("attn.", "", 1) if ".attn." in published else published
