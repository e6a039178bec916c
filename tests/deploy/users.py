"""The users of deploy/acl, on a server of a test's own: given there one by one, so that the test's own connections may do all."""

import hashlib

from deploy.prometheus import ROOT
from servers import Kind, Server, send

FOLDER = ROOT / "deploy" / "acl"
FILES: dict[Kind, str] = {"valkey": "users.acl", "redis": "users-redis-7.0.acl"}
MANIFEST = ROOT / "deploy" / "kubernetes" / "base" / "users.acl"
YOUNGER = {"+client|setinfo", "+waitaof"}
"""What Redis 7.0 does not know yet, and so refuses to grant."""


def rules(text: str | None = None) -> dict[str, list[str]]:
    """The words of each user, of those for Valkey where no text is given."""
    text = (FOLDER / FILES["valkey"]).read_text() if text is None else text
    lines = [line.split() for line in text.splitlines() if line.startswith("user ")]
    return {name: words for _, name, *words in lines}


def password(user: str) -> str:
    """Of a user, in tests."""
    return f"the-password-of-{user}"


def grant(server: Server) -> None:
    """Makes the users known to the server; the default user stays as it is."""
    for user, words in rules((FOLDER / FILES[server.kind]).read_text()).items():
        if user != "default":
            hashed = hashlib.sha256(password(user).encode()).hexdigest()
            with server.new_client() as client:
                send(client, "ACL", "SETUSER", user, *[f"#{hashed}" if word == f"#{user}" else word for word in words])


def url(server: Server, user: str) -> str:
    """Where the server is, and as whom."""
    return f"unix://{user}:{password(user)}@{server.socket}"


def denied(server: Server) -> list[str]:
    """What users were refused since the log was emptied: who, what, and as which command."""
    with server.new_client(decode_responses=True) as client:
        log = send(client, "ACL", "LOG", 128)
    return [f"{each['username']}: {each['object']} ({each['reason']}, {each['context']})" for each in log]
