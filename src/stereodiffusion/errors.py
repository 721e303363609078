"""Everything this package raises on purpose.

    StereoDiffusionError
    ├── GeometryError (ValueError)     a depth or disparity map, a rig or a size that makes no sense
    ├── ConfigError (ValueError)       settings that contradict each other or are out of range
    ├── FormatError (ValueError)       a picture or map file that cannot be read or written
    ├── DatasetError (ValueError)      a folder that is no such data set, or a scene of it that cannot be read
    ├── StudyError (ValueError)        pairs or answers that a user study cannot be made of
    ├── ResultsError (RuntimeError)    a folder of results that cannot be read or written, or is in use
    │   └── BenchmarkError             ... or a benchmark whose results are not there or damaged
    ├── WorkerError (RuntimeError)     a worker process that was killed
    ├── SynthesisError (RuntimeError)  a run that ended before its pair was complete
    ├── ModelError (RuntimeError)      a model that cannot be loaded or is of the wrong kind
    │   └── ModelUnavailableError      ... because it is not on disk and cannot be fetched
    └── PromptError (ValueError)       a prompt that the model's text encoder cannot take

and the one thing it warns of:

    FormatWarning (UserWarning)        a part of a picture file that was passed over

A message says what was expected and what came. Each error also inherits the built-in kind, so that
callers who know nothing of this package can catch `ValueError` or `RuntimeError`.
"""

_LONGEST = 240


class StereoDiffusionError(Exception):
    """Base of all errors raised on purpose."""


class GeometryError(StereoDiffusionError, ValueError):
    """A depth or disparity map, a camera rig or a size that makes no sense."""


class ConfigError(StereoDiffusionError, ValueError):
    """Settings that contradict each other or are out of range."""


class FormatError(StereoDiffusionError, ValueError):
    """A picture or map file that cannot be read or written."""


class DatasetError(StereoDiffusionError, ValueError):
    """A folder that is no such data set, or a scene of it that cannot be read."""


class StudyError(StereoDiffusionError, ValueError):
    """Pairs or answers that a user study cannot be made of."""


class ResultsError(StereoDiffusionError, RuntimeError):
    """A folder of results that cannot be read or written, or that another run is writing to."""


class BenchmarkError(ResultsError):
    """Results of the benchmark that are not there or damaged."""


class WorkerError(StereoDiffusionError, RuntimeError):
    """A worker process that was killed."""


class SynthesisError(StereoDiffusionError, RuntimeError):
    """A run that ended before its pair was complete."""


class ModelError(StereoDiffusionError, RuntimeError):
    """A model that cannot be loaded or is of the wrong kind."""


class ModelUnavailableError(ModelError):
    """A model that is not on disk and cannot be fetched."""


class PromptError(StereoDiffusionError, ValueError):
    """A prompt that the model's text encoder cannot take."""


class FormatWarning(UserWarning):
    """A part of a picture file that does not fit the rest and was passed over, such as a damaged colour profile."""


def printable(text: str) -> str:
    """A text that a terminal shows as it is: control characters, and those that turn lines about, are spelled out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def wants_memory(error: BaseException) -> bool:
    """Whether it was memory that was wanting, as Python says it or as torch does of the processor's."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def first_line(error: Exception) -> str:
    """What another library's error says, as a part of one line; what it is where it says nothing."""
    line = str(error).strip().partition("\n")[0] or type(error).__name__
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."
