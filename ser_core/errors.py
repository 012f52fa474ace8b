"""What this library refuses: one root, and a sentence that says what was found, what is needed and what to do."""


class SerError(Exception):
    """Root of every refusal. Its text is one sentence or two, fit to be shown to a person."""


class AudioRefused(SerError):
    """A file that is not audio, or audio outside the limits."""


class RecordingTooLong(AudioRefused):
    """Audio that is longer than what was asked of it allows."""


class SettingsRefused(SerError):
    """A setting or an argument outside its range."""


class WordsRefused(SerError):
    """A file of words and their times that cannot be read."""


class AnnotationsRefused(SerError):
    """Marks that cannot be, or a file of them that cannot be read."""


class AnnotationsOutdated(AnnotationsRefused):
    """A change to a mark that somebody else has changed meanwhile."""


class CorpusRefused(SerError):
    """A corpus folder that does not hold what its name promises."""


class ModelRefused(SerError):
    """A model folder that is missing, damaged or made for something else."""


class BatchRefused(SerError):
    """A batch of recordings that cannot begin or cannot go on."""


class WriteRefused(SerError):
    """A file or folder that cannot be written."""


class Cancelled(Exception):
    """Work that stopped because the person asked for it."""
