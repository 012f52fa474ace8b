"""A map of recordings: points lie close together if a model's features of the recordings are alike."""
