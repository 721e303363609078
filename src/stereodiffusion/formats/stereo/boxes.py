"""The boxes of ISO base media files (ISO/IEC 14496-12), as far as pictures in HEIF need them (ISO/IEC 23008-12)."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from stereodiffusion.errors import FormatError

_CHILDREN_AT = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"grpl": 0}  # behind version and flags, where there are some


class Box(NamedTuple):
    """A box: its type of four letters, and its body behind the header."""

    kind: bytes
    body: bytes

    def encoded(self) -> bytes:
        """The bytes of the box."""
        return (8 + len(self.body)).to_bytes(4, "big") + self.kind + self.body

    @property
    def children(self) -> "list[Box]":
        """The boxes within."""
        return list(boxes(self.body[_CHILDREN_AT[self.kind] :]))

    def child(self, kind: bytes) -> "Box":
        """The first box of that type within.

        Raises:
            FormatError: If there is none.
        """
        return find(self.children, kind)

    def with_children(self, children: "list[Box]") -> "Box":
        """The same box around others."""
        head = self.body[: _CHILDREN_AT[self.kind]]
        return Box(self.kind, head + b"".join(child.encoded() for child in children))


def boxes(content: bytes) -> Iterator[Box]:
    """The boxes of a file, or within one.

    Raises:
        FormatError: If one reaches beyond the end.
    """
    at = 0
    while at + 8 <= len(content):
        size, kind, head = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(content) - at
        if size < head or at + size > len(content):
            raise FormatError(f"the file is damaged or truncated: box {kind!r} of {size} bytes")
        yield Box(kind, content[at + head : at + size])
        at += size


def find(among: list[Box], kind: bytes) -> Box:
    """The first box of that type.

    Raises:
        FormatError: If there is none.
    """
    for box in among:
        if box.kind == kind:
            return box
    raise FormatError(f"the file is damaged or truncated: no box {kind.decode('ascii', 'replace')!r}")


def associations(ipma: Box) -> dict[int, list[int]]:
    """The numbers of the properties of each item, from 1; the bit "essential" is the highest of 16 (8.11.14)."""
    version, wide = ipma.body[0], bool(ipma.body[3] & 1)
    (count,), at = struct.unpack_from(">L", ipma.body, 4), 8
    found: dict[int, list[int]] = {}
    for _ in range(count):
        (item,) = struct.unpack_from(">L" if version else ">H", ipma.body, at)
        at += 4 if version else 2
        number, at = ipma.body[at], at + 1
        if wide:
            entries = list(struct.unpack_from(f">{number}H", ipma.body, at))
        else:
            entries = [(entry & 0x80) << 8 | entry & 0x7F for entry in ipma.body[at : at + number]]
        at += number * (2 if wide else 1)
        found[item] = entries
    return found


def encode_associations(associated: dict[int, list[int]]) -> Box:
    """Undoes `associations`, in the wide form."""
    body = struct.pack(">LL", 1, len(associated))
    for item, entries in sorted(associated.items()):
        body += struct.pack(f">HB{len(entries)}H", item, len(entries), *entries)
    return Box(b"ipma", body)
