"""What a client may ask for: a page is shared, and one request must not starve the others."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from stereodiffusion.errors import ConfigError
from stereodiffusion.request import Request, prompts_of

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is refused beyond.

    Attributes:
        pixels: Of one eye.
        steps: Denoising steps.
        crops: Of a photo.
        characters: Of a prompt.
        upload_bytes: Of a file that is sent.
        waiting: Runs that wait for the model.
        runs_per_minute: That one client may start.
        messages_per_minute: Of any kind that one client may send.
        kept: Results that can still be looked at; the oldest go first.
        kept_pixels: Of all of these, of one eye each: some 40 bytes of memory a pixel.
        side: Columns or rows of one eye.
    """

    pixels: int = 4_200_000
    steps: int = 200
    crops: int = 8
    characters: int = 2000
    upload_bytes: int = 40_000_000
    waiting: int = 64
    runs_per_minute: int = 120
    messages_per_minute: int = 1200
    kept: int = 48
    kept_pixels: int = 40_000_000
    side: int = 16_384

    def check_size(self, height: int, width: int) -> None:
        """Refuse pictures that are too large for a page.

        Raises:
            ConfigError: If one is.
        """
        if height * width > self.pixels:
            raise ConfigError(f"expected at most {self.pixels / 1e6:.1f} megapixels, got {width} x {height}")
        if max(height, width) > self.side:
            raise ConfigError(f"expected at most {self.side} pixels a side, got {width} x {height}")

    def check_request(self, request: Request) -> None:
        """Refuse requests that would take the model too long.

        Raises:
            ConfigError: If it would.
        """
        settings = request.settings()
        if settings.sampling.steps > self.steps:
            raise ConfigError(f"expected at most {self.steps} steps, got {settings.sampling.steps}")
        if settings.crops > self.crops:
            raise ConfigError(f"expected at most {self.crops} crops, got {settings.crops}")
        longest = max(len(text) for text in [*prompts_of(request.prompt), getattr(request, "negative", "")])
        if longest > self.characters:
            raise ConfigError(f"expected at most {self.characters} characters, got {longest}")


class Rate:
    """How often each client does something: a sliding window of a minute.

    Args:
        most: In a minute.
        clock: Gives seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._seen: dict[str, deque[float]] = {}
        self._lock = Lock()

    def allows(self, client: str) -> bool:
        """Whether the client may do it once more; if so, it is counted."""
        now = self._clock()
        with self._lock:
            for name in [name for name, times in self._seen.items() if times[-1] <= now - MINUTE_S]:
                del self._seen[name]
            times = self._seen.setdefault(client, deque())
            while times and times[0] <= now - MINUTE_S:
                times.popleft()
            if len(times) >= self._most:
                return False
            times.append(now)
            return True
