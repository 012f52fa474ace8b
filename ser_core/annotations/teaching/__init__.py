"""Training models on people's labels."""
