"""Export of marks to files of other tools, and import from such files."""
