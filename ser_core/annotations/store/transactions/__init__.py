"""What can be done to the database, a class for each subject: every method is one transaction."""
