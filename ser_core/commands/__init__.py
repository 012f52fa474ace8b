"""The commands of `python -m ser_core`, a file each."""
