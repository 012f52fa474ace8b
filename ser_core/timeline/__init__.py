"""The emotions of a long recording over time."""
