"""From a file's bytes to a recording, whatever wrote it, and pieces of it as files again."""
