"""Running work: jobs, progress, atomic files and folders, child processes, the log."""
