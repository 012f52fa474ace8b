"""Models: networks, peers, ONNX files and their cards; scores, verdict, and a voice's own normal."""
