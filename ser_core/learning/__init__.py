"""Training networks on labelled recordings, and evaluating them."""
