"""The F0 of recordings, as it was measured and corrected by hand."""
