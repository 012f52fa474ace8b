"""The annotation database: its tables, and everything that reads or writes them."""
