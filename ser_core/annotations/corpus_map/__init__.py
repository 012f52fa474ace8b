"""A map of recordings: points are close together if a model's features of the recordings are similar."""
