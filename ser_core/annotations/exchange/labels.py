"""The mapping of labels to emotions, for all formats.

The label of a mark is its emotion or, if it has none, its note. In tiers of emotions, a label that names an emotion in
another case, in another language or by a common code becomes that emotion. In other tiers, and where the file marks it
as a note, it stays a note.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ser_core.analysis import Point
from ser_core.analysis.emotions import COLOURS, known_emotion
from ser_core.annotations.annotation import EMOTION, REGION_TIER, STATUSES, Annotation, Tier
from ser_core.annotations.exchange.importing import ImportedFile, with_marks
from ser_core.annotations.formats import FORMATS
from ser_core.annotations.formats.format import counted
from ser_core.annotations.formats.notation import Note, holds_emotions
from ser_core.annotations.formats.values import quoted
from ser_core.errors import AnnotationsRefused

#: Our own files state which labels are emotions.
OURS = FORMATS["own"].name

MAX_LISTED_LABELS = 8


@dataclass(frozen=True)
class LabelRules:
    """How a person wants labels to be mapped.

    Attributes
    ----------
    tiers : tuple of str
        The only tiers to take marks from, in any case; they hold emotions. Empty: all tiers.
    emotions : mapping of str to str or None
        By label in lower case, its emotion, None for a note, or "" to leave its marks out.
    status : str or None
        Of all marks; None: as the file says.
    as_notes : bool
        Read every text as a note.
    """

    tiers: tuple[str, ...] = ()
    emotions: Mapping[str, str | None] = field(default_factory=dict)
    status: str | None = None
    as_notes: bool = False

    def __post_init__(self) -> None:
        if self.status not in (None, *STATUSES):
            raise AnnotationsRefused(f"The status '{self.status}' is not known; choose {', '.join(STATUSES)}.")


def rules_from_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Return a mapping from pairs such as `ang=angry`.

    Raises
    ------
    AnnotationsRefused
        If one has no =, or nothing before it.
    """
    found = {}
    for pair in pairs:
        label, equals, emotion = pair.partition("=")
        if not equals or not label.strip():
            raise AnnotationsRefused(f"{quoted(pair)} maps no label; write LABEL=EMOTION, such as ang=angry.")
        found[label.strip().casefold()] = emotion.strip()
    return found


@dataclass(frozen=True)
class LabelUse:
    """How the marks of one tier with the same label are mapped.

    Attributes
    ----------
    tier : str
        Its name here.
    emotion : str or None
        None: the label stays a note.
    kind : {"emotion", "other emotion", "note", "left out"}
        "other emotion" is one that no model can be taught.
    expected : bool
        Whether the label should be a known emotion, so that a note or another emotion is worth a warning.
    """

    tier: str
    label: str
    count: int
    emotion: str | None
    kind: str
    expected: bool


def map_labels(files: Sequence[ImportedFile], rules: LabelRules) -> tuple[list[ImportedFile], tuple[LabelUse, ...]]:
    """Return files with their labels mapped, and how each label was mapped, the most frequent first.

    Raises
    ------
    AnnotationsRefused
        If no file has a tier that the rules name.
    """
    _require_tiers(files, rules)
    uses: Counter[tuple[str, str, str | None, str, bool]] = Counter()
    files = _with_contents(files, rules)
    found = []
    for file in files:
        reasons: Counter[str] = Counter()
        documents = []
        for document in file.documents:
            contents = {tier.key: tier.content for tier in document.tiers}
            is_ours = file.format_name == OURS
            read = [_map_label(mark, rules, is_ours, contents.get(mark.tier), uses) for mark in document.annotations]
            reasons.update(why for _, why in read if why)
            documents.append(
                with_marks(document, (mark for mark, why in read if not why), (mark for mark, why in read if why))
            )
        dropped = file.dropped + tuple(why.replace("{}", counted(count, "mark"), 1) for why, count in reasons.items())
        found.append(replace(file, documents=tuple(documents), dropped=dropped))
    return found, tuple(
        LabelUse(tier, label, count, emotion, kind, expected)
        for (tier, label, emotion, kind, expected), count in sorted(uses.items(), key=lambda use: (-use[1], use[0][:2]))
    )


def _with_contents(files: Sequence[ImportedFile], rules: LabelRules) -> list[ImportedFile]:
    """Return files whose tiers have their content: emotions by name, by choice, or by most of their labels."""
    labels: dict[str, Counter[bool]] = {}
    for document in (document for file in files if file.format_name != OURS for document in file.documents):
        for mark in document.annotations:
            label = mark.emotion or mark.note
            labels.setdefault(mark.tier, Counter())[label.strip().casefold() in COLOURS] += bool(label)

    def with_content(tier: Tier) -> Tier:
        is_emotion = labels.get(tier.key, Counter())
        chosen = tier.key.casefold() in {name.casefold() for name in rules.tiers}
        mostly_emotions = is_emotion[True] > is_emotion[False]
        has_emotions = tier.content == "emotions" or chosen or holds_emotions(tier.key) or mostly_emotions
        if tier.key.casefold() == REGION_TIER and tier.kind == "intervals":
            return replace(EMOTION, name=tier.name, participant=tier.participant)
        return replace(tier, content="emotions" if has_emotions and tier.kind == "intervals" else tier.content)

    found = []
    for file in files:
        if file.format_name == OURS:
            found.append(file)
            continue
        # A file with keys is one of ours, and states what its tiers hold.
        documents = [
            each
            if each.exported_keys is not None
            else replace(each, tiers=tuple(with_content(tier) for tier in each.tiers))
            for each in file.documents
        ]
        if rules.tiers:
            names = {name.casefold() for name in rules.tiers}
            documents = [
                replace(each, tiers=tuple(tier for tier in each.tiers if tier.key.casefold() in names))
                for each in documents
            ]
        found.append(replace(file, documents=tuple(documents)))
    return found


def _require_tiers(files: Sequence[ImportedFile], rules: LabelRules) -> None:
    tiers = {mark.tier for file in files for document in file.documents for mark in document.annotations}
    for tier in rules.tiers:
        if tier.casefold() not in {name.casefold() for name in tiers}:
            names = ", ".join(map(quoted, sorted(tiers))) or "no tier at all"
            raise AnnotationsRefused(f"There are no marks in a tier {quoted(tier)}; the files have {names}.")


def _map_label(
    mark: Annotation, rules: LabelRules, is_ours: bool, content: str | None, uses: Counter
) -> tuple[Annotation, str]:
    """Return a mark with its label mapped and, if it is left out, the reason, with {} for the number of such marks.

    The mapping is counted in `uses`.
    """
    if not is_ours and mark.tier.casefold() == REGION_TIER and not isinstance(mark.region, Point):
        mark = replace(mark, tier=REGION_TIER)
    if rules.tiers and mark.tier.casefold() not in {tier.casefold() for tier in rules.tiers}:
        return mark, f"{{}} of the tier {quoted(mark.tier)}, which was not chosen"
    if rules.status is not None:
        mark = replace(mark, status=rules.status)
    expected = bool(rules.tiers) or content == "emotions" or holds_emotions(mark.tier)
    is_text = not expected and content is not None
    label = mark.note if mark.emotion is None else mark.emotion
    is_mapped = label.strip().casefold() in rules.emotions
    wanted = rules.emotions.get(label.strip().casefold())
    if label and wanted == "":
        uses[mark.tier, label, None, "left out", expected] += 1
        return mark, f"{{}} with the label {quoted(label)}, as it was mapped"
    if wanted is not None:
        mark = _with_emotion(mark, wanted)
    elif rules.as_notes or is_mapped or (is_text and not is_ours):
        mark = _as_note(mark)
    elif not is_ours and not isinstance(label, Note) and (expected or mark.emotion is not None):
        known = known_emotion(label)
        mark = mark if known is None else _with_emotion(mark, known)
    if label:
        kind = "note" if mark.emotion is None else "emotion" if mark.emotion in COLOURS else "other emotion"
        is_wanted = rules.as_notes or (kind == "note" and (is_ours or isinstance(label, Note)))
        uses[mark.tier, label, mark.emotion, kind, expected and not is_wanted] += 1
    return mark, ""


def _with_emotion(mark: Annotation, emotion: str) -> Annotation:
    """Return a mark with an emotion; its note, which was the label, is dropped."""
    return replace(mark, emotion=emotion, note="" if mark.emotion is None else mark.note)


def _as_note(mark: Annotation) -> Annotation:
    if mark.emotion is None:
        return mark
    return replace(mark, emotion=None, note=f"{mark.emotion}: {mark.note}" if mark.note else mark.emotion)


def unknown_labels(uses: Iterable[LabelUse]) -> list[str]:
    """Return a sentence for each tier with labels that were expected to be emotions and are not known as such.

    >>> unknown_labels([LabelUse("emotion", word, 2, None, "note", True) for word in ("hmm", "oh")])
    ["4 labels of the tier 'emotion' are not known emotions; kept as notes: hmm 2, oh 2."]
    """
    sentences = []
    for kind in ("note", "other emotion"):
        tiers: dict[str, list[LabelUse]] = {}
        for use in uses:
            if use.expected and use.kind == kind:
                tiers.setdefault(use.tier, []).append(use)
        for tier, unknown in tiers.items():
            total = sum(use.count for use in unknown)
            counts = ", ".join(f"{_short(use.label)} {use.count}" for use in unknown[:MAX_LISTED_LABELS])
            if len(unknown) > MAX_LISTED_LABELS:
                counts = f"{counts} and {len(unknown) - MAX_LISTED_LABELS} more"
            if total == 1:
                outcome = "kept as a note" if kind == "note" else "kept as it is"
                sentences.append(f"1 label of the tier {quoted(tier)} is not a known emotion; {outcome}: {counts}.")
            else:
                outcome = "kept as notes" if kind == "note" else "kept as they are"
                sentences.append(
                    f"{total} labels of the tier {quoted(tier)} are not known emotions; {outcome}: {counts}."
                )
    return sentences


def _short(label: str) -> str:
    label = " ".join(label.split())
    return label if len(label) <= 24 else f"{label[:23]}…"


def renamed_labels(uses: Iterable[LabelUse]) -> list[str]:
    """Return a line for each emotion with the labels that become it: `angry: ang 120, Ärger 3`."""
    by_emotion: dict[str, Counter[str]] = {}
    for use in uses:
        if use.emotion is not None and use.label != use.emotion:
            by_emotion.setdefault(use.emotion, Counter())[use.label] += use.count
    return [
        f"{emotion}: {', '.join(f'{_short(label)} {count}' for label, count in labels.most_common())}"
        for emotion, labels in by_emotion.items()
    ]
