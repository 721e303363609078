"""A run that is broken off."""

import pytest

from stereodiffusion.errors import SynthesisError
from stereodiffusion.synthesis.run import Progress, Run, Synthesis


def interrupted() -> Synthesis:
    yield Progress(stage="source", step=1, steps=2)
    raise KeyboardInterrupt


def test_a_run_that_was_broken_off_has_no_result() -> None:
    run = Run(interrupted())
    with pytest.raises(KeyboardInterrupt):
        list(run)
    with pytest.raises(SynthesisError, match="ended before its pair was complete"):
        _ = run.result
