"""What people mark in recordings: kept in a database, exchanged with other tools, compared and taught."""
