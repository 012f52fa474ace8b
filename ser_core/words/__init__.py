"""The words of a recording: their times by Whisper, their bounds, and how much each speaks for an emotion."""
