"""What two baselines or more are built of."""
