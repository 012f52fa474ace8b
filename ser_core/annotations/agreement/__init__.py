"""How far people agree with each other, and explainers with people."""
