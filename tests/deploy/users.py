"""The users of deploy/kubernetes/base/users.acl, on a server of a test's own: given there one by one, so that the test's own connections may do all."""

import hashlib

from deploy.prometheus import ROOT
from servers import Server, send

FILE = ROOT / "deploy" / "kubernetes" / "base" / "users.acl"
YOUNGER = {"+client|setinfo", "+waitaof"}
"""What Redis 7.0 does not know yet, and so refuses to grant."""


def rules(text: str = FILE.read_text()) -> dict[str, list[str]]:
    """The words of each user."""
    lines = [line.split() for line in text.splitlines() if line.startswith("user ")]
    return {name: words for _, name, *words in lines}


def password(user: str) -> str:
    """Of a user, in tests."""
    return f"the-password-of-{user}"


def grant(server: Server) -> None:
    """Makes the users known to the server; the default user stays as it is."""
    for user, words in rules().items():
        if user != "default":
            hashed = hashlib.sha256(password(user).encode()).hexdigest()
            known = [word for word in words if server.kind != "redis" or word not in YOUNGER]
            with server.new_client() as client:
                send(client, "ACL", "SETUSER", user, *[f"#{hashed}" if word == f"#{user}" else word for word in known])


def url(server: Server, user: str) -> str:
    """Where the server is, and as whom."""
    return f"unix://{user}:{password(user)}@{server.socket}"


def denied(server: Server) -> list[str]:
    """What users were refused since the log was emptied: who, what, and as which command."""
    with server.new_client(decode_responses=True) as client:
        log = send(client, "ACL", "LOG", 128)
    return [f"{each['username']}: {each['object']} ({each['reason']}, {each['context']})" for each in log]
