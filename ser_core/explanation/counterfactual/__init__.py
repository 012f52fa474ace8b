"""What would have to be different for another emotion to be predicted."""
