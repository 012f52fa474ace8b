"""How work is done: jobs, progress, atomic files and folders, child processes, the log."""
