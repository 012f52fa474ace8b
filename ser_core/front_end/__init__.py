"""From a recording to what a network is given: log-mel spectrogram, segments, and the selection among them."""
