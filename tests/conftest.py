"""What all tests share."""

import torch
from tests import typechecking

# The run-time type checker that pyproject.toml names must have been imported before the package is.
assert callable(typechecking.checked)

# Tiny networks lose more to threads than they gain.
torch.set_num_threads(1)
