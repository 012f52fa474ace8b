"""From an audio file to a recording, measures of its voice, changes of it, and regions of it as files."""
