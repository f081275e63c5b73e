"""Which of several daemons claims a row first: the one with the highest hash of the two.

Rendezvous (highest random weight) hashing, Thaler & Ravishankar 1998: everybody
who sees the same members comes to the same answer without a word, and when one
leaves only its rows move.
"""

import hashlib
from collections.abc import Collection


def preferred(row_id: int, members: Collection[int]) -> int:
    """The member that is to claim this row; all of them answer the same. ValueError without members."""
    if len(members) == 1:
        return next(iter(members))
    row = row_id.to_bytes(8, "little", signed=True)
    return max(
        members,
        key=lambda member: (hashlib.blake2b(row + member.to_bytes(8, "little"), digest_size=8).digest(), member),
    )
