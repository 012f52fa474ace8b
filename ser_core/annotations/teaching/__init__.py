"""From people's labels to a model that learned from them."""
