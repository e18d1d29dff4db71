"""Protocols: which pictures are compared, at which size, and with which photographs."""

import difflib
from dataclasses import dataclass
from typing import Literal

from photochrom.metrics.photographs import WHOLE_LIMIT
from photochrom.runtime import StageError, sha256_text


@dataclass(frozen=True)
class Protocol:
    """A named way to compare.

    `size` is the side in pixels of the photographs' central squares, or None for whole photographs
    at their own size. Under `disjoint` reference, pictures of one half of the photographs are held
    against the other half, which gives distances alone.
    """

    name: str
    size: int | None
    reference: Literal["paired", "disjoint"]
    description: str


PROTOCOLS = {
    protocol.name: protocol
    for protocol in [
        Protocol(
            "paired-256crop",
            256,
            "paired",
            "the central square of each photograph, resized to 256 px; the picture painted from "
            "its lightness is compared with the same photograph",
        ),
        Protocol(
            "disjoint",
            256,
            "disjoint",
            "the central squares at 256 px, in two halves; the pictures painted of the first half "
            "are compared, as a whole, with equally many photographs of the second, of other "
            "groups",
        ),
        Protocol(
            "native",
            None,
            "paired",
            "the whole photograph at its own size, at most "
            f"{WHOLE_LIMIT} px on the long side; the picture painted from its lightness is "
            "compared with the same photograph",
        ),
    ]
}


def parse_protocols(text: str) -> list[Protocol]:
    """Protocols from their names, separated by commas. StageError when there is no such one."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PROTOCOLS:
            near = difflib.get_close_matches(name, PROTOCOLS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(PROTOCOLS)}"
            raise StageError(f"unknown protocol {name!r}; {hint}")
    return [PROTOCOLS[name] for name in dict.fromkeys(names)]


def in_first_half(group: str) -> bool:
    """Whether a group's pictures are painted under `disjoint`; the others are the reference.

    By a hash, so that photographs stay in their half when others join.
    """
    return int(sha256_text(f"half {group}")[:8], 16) % 2 == 0
