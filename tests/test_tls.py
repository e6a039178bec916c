"""TLS to a real server: one that is right lets everything through, each that is wrong is refused at once, with a word that says what to do and no secret.

Certificates are made by openssl. The embedded Valkey speaks no TLS, so this needs a Redis that does (Debian's); skipped without one.
"""

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.connection import parse_url

from chaos.fleet import Skipped
from chaos.rows.tls import HangsUp, Papers
from chute import address
from chute.tls import unsafe
from contract.helpers import chute
from servers import Server, free_port

CANARY = "canary-in-a-url"
Secure = Callable[..., str]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    try:
        return Papers(tmp_path_factory.mktemp("papers"))
    except Skipped as why:
        pytest.skip(str(why))


@pytest.fixture
def secure(papers: Papers) -> Iterator[Secure]:
    """Starts a server with such a certificate, and tells its URL."""
    started: list[Server] = []

    def start(name: str, *options: str, ca: Path | None = papers.folder / "ca.crt", query: str = "", **certificate: str | int) -> str:
        papers.server(name, **certificate)  # type: ignore[arg-type]
        port, folder = free_port(), papers.folder
        files = (
            "--tls-cert-file",
            f"{folder}/{name}.crt",
            "--tls-key-file",
            f"{folder}/{name}.key",
            "--tls-ca-cert-file",
            f"{folder}/ca.crt",
        )
        server = Server("redis", "--tls-port", str(port), *files, "--tls-auth-clients", "no", *options, tcp=True)
        started.append(server)
        try:
            server.start()
        except FileNotFoundError as error:
            pytest.skip(str(error))
        except RuntimeError as error:
            if "tls" in str(error).lower():
                pytest.skip("this redis-server was built without TLS")
            raise
        with server.new_client() as client:
            client.config_set("requirepass", CANARY)
        trusted = f"ssl_ca_certs={ca}" if ca else ""
        return f"rediss://:{CANARY}@127.0.0.1:{port}?{'&'.join(filter(None, (trusted, query)))}".rstrip("?")

    yield start
    for server in started:
        server.stop()


def refused(url: str, words: str, *, seconds: float = 4.0) -> None:
    """The command ends soon, says that, and has no secret in it."""
    before = time.monotonic()
    done = chute("push", "jobs", '{"job_id": "never"}', url=url)
    assert time.monotonic() - before < seconds
    said = done.stdout + done.stderr
    assert (done.returncode, done.stdout) == (4, "")
    assert words in said, said
    assert "Nothing was sent" in said
    assert CANARY not in said
    assert "Traceback" not in said
    assert "_ssl.c" not in said


def test_a_server_that_is_right(secure: Secure) -> None:
    url = secure("good")
    assert chute("push", "jobs", '{"job_id": "1", "question": "?"}', url=url).returncode == 0
    done = chute("work", "tasks:jobs", "--burst", url=url)
    assert done.returncode == 0, done.stderr
    assert chute("result", "1", url=url).returncode == 0
    assert "not checked" not in done.stderr


@pytest.mark.parametrize(
    ("name", "certificate", "words"),
    [
        ("expired", {"days": -1}, "its certificate has expired. Renew it there"),
        ("strange", {"signed_by": "other"}, "signed by an authority that is not known here. Name the authority"),
        ("misnamed", {"host": "IP:127.0.0.9"}, "its certificate is for another host"),
        ("named", {"host": "DNS:example.com"}, "its certificate is for another host"),
    ],
)
def test_a_certificate_that_is_wrong(secure: Secure, name: str, certificate: dict[str, str], words: str) -> None:
    url = secure(name, **certificate)
    refused(url, words)
    if name != "expired":
        return
    before = time.monotonic()
    worker = chute("work", "tasks:jobs", url=url)
    assert worker.returncode == 4
    assert time.monotonic() - before < 8, "it is not tried again"
    assert words in worker.stderr
    assert "trying" not in worker.stderr
    assert CANARY not in worker.stderr
    looked = chute("doctor", url=url)
    assert (looked.returncode, words in looked.stderr) == (4, True)


def test_an_authority_that_nobody_named(secure: Secure) -> None:
    refused(secure("alone", ca=None), "an authority that is not known here")


def test_a_file_that_is_not_there(secure: Secure) -> None:
    refused(secure("fileless", ca=Path("/nowhere.pem")), "No such file or directory (a file that the URL names: ssl_ca_certs=")


def test_a_port_without_tls(start_server: Callable[..., Server]) -> None:
    server = start_server("valkey", tcp=True)
    refused(f"rediss://:{CANARY}@127.0.0.1:{server.port}", "is TLS spoken there? Without it, it is redis://", seconds=9)


def test_a_port_with_tls_and_a_url_without(secure: Secure) -> None:
    refused(secure("other-way").replace("rediss://", "redis://").partition("?")[0], "is TLS wanted there? With it, it is rediss://")


def test_one_that_closes_while_tls_begins(hangs_up: int) -> None:
    refused(f"rediss://:{CANARY}@127.0.0.1:{hangs_up}", "cannot reach the server at rediss://:***@127.0.0.1")


@pytest.fixture
def hangs_up() -> Iterator[int]:
    """Reads what a client says first, and closes; where."""
    listening = HangsUp(free_port())
    yield listening.port
    listening.close()


def test_nothing_older_than_1_2(secure: Secure) -> None:
    refused(secure("old", "--tls-protocols", "TLSv1 TLSv1.1", "--tls-ciphers", "DEFAULT@SECLEVEL=0"), "it speaks no TLS from 1.2 on")
    for version in ("770", "769"):
        with pytest.raises(ValueError, match=r"rediss://:\*\*\*@h\S* \(it allows TLS below 1\.2, which is not spoken"):
            address.client_url(f"rediss://:{CANARY}@h?ssl_min_version={version}")
    assert address.client_url("rediss://h?ssl_min_version=772")
    assert ssl.create_default_context().minimum_version >= ssl.TLSVersion.TLSv1_2, "what redis-py uses"


def test_no_check_is_said_aloud(secure: Secure) -> None:
    url = secure("unchecked", ca=None, query="ssl_cert_reqs=none")
    push_, doctor = chute("push", "jobs", "{}", url=url), chute("doctor", url=url)
    assert (push_.returncode, doctor.returncode) == (0, 1)
    told = "the server's certificate is not checked (ssl_cert_reqs=none): whoever is on the way can be taken for the server"
    assert push_.stderr.count(told) == 1
    assert "mend: way: the server's certificate is not checked" in doctor.stdout
    assert CANARY not in push_.stderr + doctor.stderr + doctor.stdout
    worker = chute("work", "tasks:jobs", "--burst", url=url)
    assert told in worker.stderr


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", ""),
        ("ssl_cert_reqs=required", ""),
        ("ssl_cert_reqs=none", "is not checked"),
        ("ssl_check_hostname=false", "name in its certificate"),
    ],
)
def test_what_is_not_checked(query: str, words: str) -> None:
    said = unsafe(parse_url(f"rediss://h?{query}"))
    assert bool(said) == bool(words)
    assert words in said
