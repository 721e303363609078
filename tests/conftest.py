"""What all tests share."""

import signal

import torch
from hypothesis import settings
from tests import typechecking

# The run-time type checker that pyproject.toml names must have been imported before the package is.
assert callable(typechecking.checked)

# A shell that starts the tests with `&` ignores interrupts, `nohup` hang-ups; programs that they start would, too.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

# How long an example takes is no law of the package, and machines are busy.
settings.register_profile("untimed", deadline=None, max_examples=40)
settings.load_profile("untimed")

# Tiny networks lose more to threads than they gain.
torch.set_num_threads(1)
