"""How work is done: jobs, progress, files written whole or not at all, child processes, the log."""
