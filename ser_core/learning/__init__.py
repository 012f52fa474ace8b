"""Training networks on labelled recordings, and measuring what they learnt."""
