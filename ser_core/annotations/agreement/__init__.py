"""How far annotators agree with one another, and explainers with annotators."""
