"""What would have to change for another emotion to be predicted."""
