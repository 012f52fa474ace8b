"""What predicts emotions: networks, peers, ONNX files, their cards, scores, verdict and a voice's own normal."""
