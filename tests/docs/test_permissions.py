"""The page on permissions: what it says to do with the files makes users who may do what they are for, on both servers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from chute.rights import ROLES
from contract.helpers import chute
from deploy.users import FILES, FOLDER
from docs.pages import DOCS
from servers import Kind, Server, StartServer, binary

PAGE = (DOCS / "permissions.md").read_text()
APPLY, _, NARROW = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
KINDS: tuple[Kind, ...] = ("valkey", "redis")


def rights(server: Server, user: str, password: str, *words: str) -> str:
    """What a doctor says of them."""
    said = chute("doctor", *words, url=f"unix://{user}:{password}@{server.socket}").stdout
    return "\n".join(line for line in said.splitlines() if ": rights: " in line)


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_made_as_the_page_says(kind: Kind, start_server: StartServer, tmp_path: Path) -> None:
    if binary(kind) is None:
        pytest.skip(f"no {kind}-server is installed")
    shutil.copy(FOLDER / FILES[kind], tmp_path / "users.acl")
    for block in (APPLY, NARROW):
        subprocess.run(["sh", "-euc", block], cwd=tmp_path, check=True)
    passwords = {path.stem: path.read_text().strip() for path in tmp_path.glob("*.password")}
    assert {role.name for role in ROLES} < {*passwords}
    whole, mail = (_with_a_keeper(start_server, kind, tmp_path / name) for name in ("server.acl", "mail.acl"))
    for role in ROLES[1:]:
        said = rights(whole, role.name, passwords[role.name])
        assert re.fullmatch(rf"well: rights: user {role.name} may be: .*\b{role.name}\b.*", said), said
        assert rights(mail, role.name, passwords[role.name], "mail") == said
        assert role.name not in rights(mail, role.name, passwords[role.name], "other").partition(" may be: ")[2]
    assert "it can be a pusher at most" in rights(whole, "pusher", passwords["pusher"])


def _with_a_keeper(start_server: StartServer, kind: Kind, path: Path) -> Server:
    """A server with these users. Tests come in by the default user, who may not even ask how it is set."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("user default ")]
    path.write_text("\n".join([*lines, "user default on nopass ~* &* +@all", ""]))
    server: Server = start_server(kind, "--aclfile", str(path))
    return server
