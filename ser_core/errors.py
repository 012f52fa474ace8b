"""Errors of this library. Each message says what was found, what is needed and what to do."""


class SerError(Exception):
    """Base of all refusals. The message is one or two sentences that can be shown to a person."""


class AudioRefused(SerError):
    """Not audio, or audio outside the limits."""


class RecordingTooLong(AudioRefused):
    """Audio that is longer than the limits allow."""


class SettingsRefused(SerError):
    """A setting or argument outside its range."""


class WordsRefused(SerError):
    """An unreadable file of words and their times."""


class WordModelRefused(SerError):
    """A word model that is missing, damaged or cannot be fetched."""


class AnnotationsRefused(SerError):
    """Invalid annotations, or an unreadable file of them."""


class AnnotationsOutdated(AnnotationsRefused):
    """A change to a mark that somebody else has changed in the meantime."""


class RecordingUnclear(AnnotationsRefused):
    """Marks that cannot be assigned to one recording of a project."""


class RecordingNotInProject(AnnotationsRefused):
    """A recording that a project does not contain."""


class CorpusRefused(SerError):
    """A folder that does not contain the expected corpus."""


class ModelRefused(SerError):
    """A model folder that is missing, damaged or unsuitable."""


class BatchRefused(SerError):
    """A batch that cannot start or cannot continue."""


class ClusterRefused(SerError):
    """A job that the workers of a cluster cannot do."""


class WriteRefused(SerError):
    """A file or folder that cannot be written."""


class Cancelled(Exception):
    """Work that a person stopped."""
