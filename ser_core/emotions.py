"""Sets of emotions, each in a fixed order, and one colour per emotion."""

from ser_core.errors import SettingsRefused

EMOTION_SETS = {
    "core4": ("angry", "happy", "neutral", "sad"),
    "six": ("angry", "happy", "neutral", "sad", "fear", "surprise"),
    "seven": ("angry", "happy", "neutral", "sad", "fear", "surprise", "disgust"),
    "eight_calm": ("angry", "happy", "neutral", "sad", "fear", "surprise", "disgust", "calm"),
    "eight_chagrin": ("angry", "happy", "neutral", "sad", "fear", "surprise", "disgust", "chagrin"),
}

#: Okabe and Ito's palette, safe for all common types of colour blindness; grey for neutral.
COLOURS = {
    "angry": "#D55E00",
    "happy": "#E69F00",
    "neutral": "#7F7F7F",
    "sad": "#0072B2",
    "fear": "#CC79A7",
    "disgust": "#009E73",
    "surprise": "#56B4E9",
    "calm": "#B7A800",
    "chagrin": "#B7A800",
}


def emotion_index(emotion: str, emotions: tuple[str, ...]) -> int:
    """Return the index of an emotion in a model's order.

    Raises
    ------
    SettingsRefused
        If the model does not know the emotion.
    """
    if emotion not in emotions:
        raise SettingsRefused(
            f"This model does not know the emotion '{emotion}'. Choose one of: {', '.join(emotions)}."
        )
    return emotions.index(emotion)
