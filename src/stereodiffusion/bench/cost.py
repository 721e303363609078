"""What a piece of work costs: seconds and memory."""

import math
import re
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_RESET_PEAK = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """A point in time, or a distance between two.

    Attributes:
        wall: By the clock.
        core: Of processor cores, all threads together, which other work on the machine does not touch; by the clock as
            well where a graphics card does the work.
    """

    wall: float = 0.0
    core: float = 0.0

    @classmethod
    def now(cls, device: torch.device) -> "Seconds":
        """When everything has been done that the device was asked for."""
        if device.type != "cpu":
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            wall = time.perf_counter()
            return cls(wall=wall, core=wall)
        return cls(wall=time.perf_counter(), core=time.process_time())

    def __add__(self, other: "Seconds") -> "Seconds":
        return Seconds(wall=self.wall + other.wall, core=self.core + other.core)

    def __sub__(self, other: "Seconds") -> "Seconds":
        return self + -1 * other

    def __rmul__(self, factor: float) -> "Seconds":
        return Seconds(wall=factor * self.wall, core=factor * self.core)


class Cost:
    """Filled in when `measured` ends.

    Attributes:
        seconds: Wall clock.
        peak_memory_mb: Most that was held meanwhile, in units of 10^6 bytes: of the graphics card where the work ran
            on one, otherwise of the whole process with its libraries and models. Where the system cannot forget its
            peak (all but Linux) it is that of the process since its start; on Windows NaN.
    """

    seconds: float = 0.0
    peak_memory_mb: float = 0.0


@contextmanager
def measured(device: str = "cpu") -> Generator[Cost]:
    """Measure what happens inside."""
    cost = Cost()
    on_card = torch.device(device).type == "cuda"
    if on_card:
        torch.cuda.reset_peak_memory_stats(device)
    elif _RESET_PEAK.exists():
        _RESET_PEAK.write_text("5")  # see proc(5)
    start = time.perf_counter()
    yield cost
    if on_card:
        torch.cuda.synchronize(device)
    cost.seconds = time.perf_counter() - start
    cost.peak_memory_mb = peak_memory_mb(device)


def peak_memory_mb(device: str | torch.device = "cpu") -> float:
    """The most that was held since the innermost `measured` began, see `Cost`."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if _STATUS.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
        if found is not None:
            return int(found[1]) * 1024 / 1e6
    if sys.platform == "win32":
        return math.nan
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
