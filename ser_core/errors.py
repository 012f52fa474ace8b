"""What this library refuses: one root, and a sentence that says what was found, what is needed and what to do."""


class SerError(Exception):
    """Root of every refusal. Its text is one sentence or two, fit to be shown to a person."""


class AudioRefused(SerError):
    """A file that is not audio, or audio outside the limits."""


class SettingsRefused(SerError):
    """A setting or an argument outside its range."""


class CorpusRefused(SerError):
    """A corpus folder that does not hold what its name promises."""


class ModelRefused(SerError):
    """A model folder that is missing, damaged or made for something else."""


class QueueFull(SerError):
    """More work is waiting than this machine accepts."""


class Cancelled(SerError):
    """Work that stopped because the person asked for it."""
