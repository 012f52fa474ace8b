"""Parts of several peers."""
