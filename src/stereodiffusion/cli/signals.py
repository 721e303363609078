"""How the program ends when a signal tells it to: one line, nothing temporary left, the exit code that shells expect.

It ends on the spot. An exception would not always arrive: in the middle of an import, of a callback or of somebody's
clean-up it is swallowed, or turned into another. Nor has anything to be unwound: files appear whole, results are
appended line by line, and workers end with their parent.
"""

import os
import signal
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from types import FrameType

_SAID = {
    getattr(signal, name): said
    for name, said in (("SIGINT", "interrupted"), ("SIGTERM", "terminated"), ("SIGHUP", "hung up"))
    if hasattr(signal, name)
}
_SHOW_CURSOR = "\r\033[2K\033[?25h"  # progress bars hide it


def end_on_signals() -> None:
    """Let this process end so from now on; what its parent had ignored (`nohup`, `&` in scripts) stays ignored."""
    for number in _SAID:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def ignore_signals() -> None:
    """Let this process end by itself, which it is about to do: everything has been done and said."""
    for number in _SAID:
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, _: FrameType | None) -> None:
    ignore_signals()
    with _nothing_left():
        with suppress(Exception):  # a closed pipe, or a write that was under way
            sys.stdout.flush()
        with suppress(OSError):
            line = f"{_SHOW_CURSOR if os.isatty(2) else ''}stereodiffusion: {_SAID[number]}\n"
            os.write(2, line.encode())
        os._exit(128 + number)


def _nothing_left() -> AbstractContextManager[None]:
    try:
        from stereodiffusion.temporary import all_removed
    except ImportError:  # while it is being imported there is nothing to remove
        return nullcontext()
    return all_removed()
