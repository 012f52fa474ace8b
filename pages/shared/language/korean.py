"""Particles of Korean, whose form depends on the sound before them: 기쁨이, but 분노가."""

import re

#: Particles as written in a catalogue, with the forms after a consonant and after a vowel.
FORMS = {
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "을(를)": ("을", "를"),
    "과(와)": ("과", "와"),
    "(으)로": ("으로", "로"),
    "(이)나": ("이나", "나"),
    "(이)라": ("이라", "라"),
}
PARTICLE = re.compile(rf"([가-힣0-9])([*`'\"’”]*(?:\([^()]*\))?)({'|'.join(map(re.escape, FORMS))})")

#: Last consonants of a syllable: index 0 means that there is none, index 8 is ㄹ.
FINALS, FIRST, NONE, RIEUL = 28, ord("가"), 0, 8
DIGITS = dict(zip("0123456789", "영일이삼사오육칠팔구", strict=True))


def with_particles(text: str) -> str:
    """Return a text with the right form of each particle after Hangul or a digit; elsewhere both forms stay."""
    return PARTICLE.sub(_right_form, text) if "(" in text else text


def _right_form(found: re.Match[str]) -> str:
    syllable, marks, particle = found.groups()
    final = (ord(DIGITS.get(syllable, syllable)) - FIRST) % FINALS
    vowel = final == NONE or (final == RIEUL and particle == "(으)로")
    return syllable + marks + FORMS[particle][vowel]
