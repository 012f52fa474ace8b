"""From a recording to a network's input: log-mel spectrogram, segments, Gaussian data selection."""
