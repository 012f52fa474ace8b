"""What people mark in recordings: stored in a database, exchanged with other tools, compared, and taught to models."""
