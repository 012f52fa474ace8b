"""Read audio files, measure and change the voice in recordings, and cut regions out of them."""
