"""Where annotations live: the database, its tables, and everything that reads or writes them."""
