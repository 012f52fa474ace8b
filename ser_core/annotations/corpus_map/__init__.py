"""A map of recordings: points that lie close together if a model hears the recordings as alike."""
