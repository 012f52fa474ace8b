"""Sets of emotions, each in a fixed order; other names of the emotions; and one colour per emotion."""

import unicodedata

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

#: Alternating lengths of dashes and gaps in pixels, so that lines differ even without colour.
LINE_PATTERNS = {
    "angry": (),
    "happy": (8, 4),
    "neutral": (2, 4),
    "sad": (8, 3, 2, 3),
    "fear": (14, 4),
    "disgust": (14, 3, 2, 3),
    "surprise": (8, 3, 2, 3, 2, 3),
    "calm": (2, 9),
    "chagrin": (2, 9),
}

#: Other names of the emotions: English words, common codes, other languages. None of them is ambiguous.
OTHER_NAMES = {
    "angry": "anger ang rage wut wütend ärger verärgert zorn zornig colère fâché ira enojo enojado enfado "
    "enfadado rabbia arrabbiato raiva zangado boos boosheid złość zły гнев злость 화남 분노 화 生气 "
    "愤怒 怒り 怒",
    "happy": "happiness hap joy joyful freude freudig fröhlich glücklich joie heureux alegría alegre feliz "
    "felicidad gioia felice felicità alegria vrolijk blij radość szczęście szczęśliwy glädje glad "
    "радость 행복 기쁨 즐거움 高兴 开心 快乐 喜び",
    "neutral": "neu neutrality neutre neutro neutrale neutraal neutralność neutralny нейтрально 중립 무감정 中性 中立",
    "sad": "sadness traurig trauer traurigkeit tristesse triste tristeza tristezza verdrietig smutek smutny "
    "ledsen sorg грусть печаль 슬픔 悲伤 难过 悲しみ",
    "fear": "fea fearful afraid scared angst ängstlich furcht peur miedo paura medo strach страх 공포 두려움 "
    "恐惧 害怕 恐れ",
    "disgust": "dis disgusted ekel angeekelt dégoût asco disgusto nojo walging wstręt avsky отвращение 혐오 역겨움 "
    "厌恶 嫌悪",
    "surprise": "sur surprised überraschung überrascht sorpresa sorpreso surpresa verrassing zaskoczenie förvåning "
    "удивление 놀람 놀라움 惊讶 驚き",
    "calm": "calmness cal ruhig calme calma tranquilo rustig spokój lugn спокойствие 평온 차분",
}
SYNONYMS = {name: emotion for emotion, names in OTHER_NAMES.items() for name in names.split()}


def known_emotion(label: str) -> str | None:
    """Return the emotion of `COLOURS` that a label names, in any case and in several languages, or None.

    >>> known_emotion("Ärger"), known_emotion("ANG"), known_emotion("화남"), known_emotion("bored")
    ('angry', 'angry', 'angry', None)
    """
    word = unicodedata.normalize("NFKC", label).strip().casefold()
    return word if word in COLOURS else SYNONYMS.get(word)


def emotion_index(emotion: str, emotions: tuple[str, ...]) -> int:
    """Return the index of an emotion in a model's order.

    Raises
    ------
    SettingsRefused
        If the model does not have the emotion.
    """
    if emotion not in emotions:
        raise SettingsRefused(
            f"This model does not know the emotion '{emotion}'. Choose one of: {', '.join(emotions)}."
        )
    return emotions.index(emotion)
