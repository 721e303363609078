"""The run-time type checker of the tests: beartype, with ints taken for floats as PEP 484 says."""

import sys
from typing import Any, Protocol

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def _look_once(protocols: Any) -> None:
    """Ask once for each class, not each time, whether it has what a protocol wants.

    Python 3.11 evaluates all properties of an instance to tell that; 3.12 looks them up.
    """
    found: set[tuple[type, type]] = set()
    ask = protocols.__instancecheck__

    def asked_once(protocol: type, instance: object) -> bool:
        pair = protocol, type(instance)
        if pair not in found and ask(protocol, instance):
            found.add(pair)
        return pair in found

    protocols.__instancecheck__ = asked_once


if sys.version_info < (3, 12):
    _look_once(type(Protocol))
