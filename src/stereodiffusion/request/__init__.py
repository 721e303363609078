"""What is to be made, as a value: a request for each mode, which everything that makes pairs takes.

A request says what goes in, with which model and settings, and what is wanted. It checks itself, goes to plain JSON and
back without loss, and is the same wherever it comes from: Python, a command line, a file, the metadata of a picture. It
knows nothing of devices, of files that are written, or of progress. Its settings are a preset and the changes to it,
resolved late, against the card of the model.
"""

from stereodiffusion.request.request import (
    REQUESTS,
    VERSION,
    DepthRequest,
    Pair,
    PhotoRequest,
    Request,
    TextRequest,
    Views,
    check_estimator,
    check_model,
    files_of,
    pipeline_name,
    prompts_of,
    request_from,
    schema,
    with_digests,
)

__all__ = [
    "REQUESTS",
    "VERSION",
    "DepthRequest",
    "Pair",
    "PhotoRequest",
    "Request",
    "TextRequest",
    "Views",
    "check_estimator",
    "check_model",
    "files_of",
    "pipeline_name",
    "prompts_of",
    "request_from",
    "schema",
    "with_digests",
]
