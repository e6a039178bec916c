"""What there is to say of the rights of a user: which kinds of users it may be, and which it nearly is. Pure.

A script checks each command when it comes to it, and what it has done before stays done: who may store and may not remove copies jobs at every claim.
"""

from collections.abc import Iterator, Sequence

from chute.doctor.look import Rights
from chute.doctor.remark import Remark, mend, note, unchecked, well
from chute.rights import ROLES, needs, own, within

SHOWN = 4
_ROLES = {role.name: role for role in ROLES}
_HALF = "a script that may not finish leaves half of its work: jobs are copied, or stand still"


def judge(user: str, rights: Sequence[Rights] | None, *, full: bool) -> Iterator[Remark]:
    """All that there is to say. `full`: it may also do what nobody needs."""
    if rights is None:
        yield unchecked(
            "rights", f"what user {user} may do: it may not run scripts, so it can be a pusher at most (plain LPUSH)",
            "as the user of a worker or a program; see +evalsha +script|load in docs: Permissions",
        )  # fmt: skip
        return
    whole = [each.role for each in rights if not each.lacks and not each.calls]
    meant = [each for each in rights if _meant(each)]
    for each in meant:
        if each.role in whole or any(within(_ROLES[each.role], _ROLES[other.role]) for other in meant):
            continue
        lacks = [*map(str, each.lacks), *[f"the keys of script {name}" for name in each.calls]]
        shown = ", ".join(lacks[:SHOWN]) + (f" and {len(lacks) - SHOWN} more" if len(lacks) > SHOWN else "")
        yield mend("rights", f"user {user} has most of what a {each.role} needs, and not: {shown}", _HALF, "grant it (docs: Permissions)")
    if full:
        yield note("rights", f"user {user} may do everything on the server", "so may whoever gets its password", "see docs: Permissions")
    elif whole:
        yield well("rights", f"user {user} may be: {', '.join(whole)}")
    elif not meant:
        yield mend(
            "rights",
            f"user {user} may be none of: {', '.join(_ROLES)}",
            "nothing of Chute works so",
            "see docs: Permissions",
        )


def _meant(rights: Rights) -> bool:
    """Whether it has most of what this kind of user needs, of what it alone needs too."""
    role = _ROLES[rights.role]
    mine, every = own(role), set(needs(role))
    return len(mine & rights.has) >= len(mine) / 2 and len(every & rights.has) >= len(every) * 2 / 3
