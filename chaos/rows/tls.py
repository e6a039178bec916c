"""Row N11: TLS. Five servers that are not what they should be are refused, each with a word that tells, and no word of the password."""

import asyncio
import contextlib
import ssl
import subprocess
from pathlib import Path

from chaos.fleet import Skipped
from chaos.road import Road
from chaos.rows import Row
from chaos.rows.server import flows_again
from chaos.stage import Stage
from listener import Listener
from servers import free_port, send

CANARY = "canary-of-tls"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
CUTS = 5
CERTIFIED = "certified"


class Papers:
    """Certificates, made by openssl. Raises Skipped where there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for ca in ("ca", "other"):
            self._openssl("req", "-x509", *KEY, "-keyout", f"{ca}.key", "-out", f"{ca}.crt", "-subj", f"/CN={ca}", "-days", "1")

    def server(self, name: str, signed_by: str = "ca", host: str = "IP:127.0.0.1", days: int = 1) -> ssl.SSLContext:
        """What a server shows that has this certificate."""
        self._openssl(
            "req", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"
        )
        signed = (
            "-CA",
            f"{signed_by}.crt",
            "-CAkey",
            f"{signed_by}.key",
            "-CAcreateserial",
            "-copy_extensions",
            "copy",
            "-days",
            str(days),
        )
        self._openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.crt")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        return context

    def _openssl(self, *words: str) -> None:
        try:
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Skipped(f"openssl makes no certificates here: {error}") from None


async def _hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(16)  # in the middle of what the client says first
    writer.transport.abort()


class Secure:
    """A server behind TLS, as a user with a password."""

    def __init__(self, papers: Papers, port: int) -> None:
        self.url = f"rediss://tls:{CANARY}@127.0.0.1:{port}?ssl_ca_certs={papers.folder / 'ca.crt'}"


def refused(stage: Stage) -> None:
    """Five that are refused, by programs and by workers; then work by one that is not, while its connections are cut."""
    send(stage.client, "ACL", "SETUSER", "tls", "on", f">{CANARY}", "~*", "&*", "+@all")
    papers = Papers(stage.notes)
    wrong: tuple[tuple[str, ssl.SSLContext | None, str], ...] = (
        ("certified, but expired", papers.server("expired", days=-1), "expired"),
        ("certified by another authority", papers.server("strange", signed_by="other"), "an authority that is not known here"),
        ("certified under another name", papers.server("misnamed", host="IP:127.0.0.9"), "not valid for"),
        ("no TLS at all", None, "is TLS spoken there?"),
    )
    for what, tls, words in wrong:
        port = free_port()
        with Road(stage.server.socket, ("127.0.0.1", port), tls):
            _is_refused(stage, what, Secure(papers, port), words)
    with contextlib.closing(HangsUp(free_port())) as cut:
        _is_refused(stage, "cut in the handshake", Secure(papers, cut.port), "")
    port = free_port()
    road = stage.open(Road(stage.server.socket, ("127.0.0.1", port), papers.server("good")))
    stage.workers(2, via=Secure(papers, port))
    stage.produce(150, via=Secure(papers, port))
    for _ in range(CUTS * stage.times):
        stage.strike_server("CLIENT KILL", lambda: send(stage.client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
        flows_again(stage)
    stage.expect(len(road.dials) > CUTS, "nobody came over TLS")
    told = [log.name for log in stage.notes.glob("*.log") if CANARY in log.read_text(errors="replace")]
    stage.expect(not told, f"a password is in {told}")


class HangsUp:
    """Somebody who listens, and ends each connection in the middle of what a client says first."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._listener = Listener(("127.0.0.1", port), _hangs_up)
        self._listener.start()

    def close(self) -> None:
        """Nobody listens any more."""
        self._listener.stop()


def _is_refused(stage: Stage, what: str, server: Secure, words: str) -> None:
    commands = (("push", "jobs", '{"job_id": "never", "ms": 1}'), ("work", "chaos.app:jobs"))
    for command in commands if CERTIFIED in what else commands[:1]:  # a worker tries the others again for ten seconds
        code, said = stage.fleet.command(*command, "--url", server.url)
        stage.expect(code not in (0, None), f"chute {command[0]} to a server that is {what} ended with {code}")
        stage.expect("cannot reach" in said and words in said, f"chute {command[0]} does not say what is wrong ({what}): {said[-300:]}")
        stage.expect("Traceback" not in said, f"chute {command[0]}, {what}: {said[-300:]}")


ROWS = (
    Row("N11", "five servers whose TLS is wrong, and one that cuts", "refused with a word that tells, no password in it", refused, CUTS),
)
