"""What to say of TLS that was refused, for people: what is wrong with the other side, and what to do. Pure.

Python's own words name an error in a library; none of them has a secret in it, and none says what to do.
"""

import ssl
from collections.abc import Mapping
from typing import Any

FLOOR = 0x0303
"""TLS 1.2, as it is on the wire; Python's contexts take nothing older, and a URL may not make them."""
UNSURE = "whoever is on the way can be taken for the server, and read and change all jobs"
INSTEAD = "name the authority that has signed its certificate: ssl_ca_certs=/path/to/ca.pem"
_UNKNOWN = f"its certificate is signed by an authority that is not known here. {INSTEAD[0].upper()}{INSTEAD[1:]}"
_OTHER = "its certificate is for another host ({}). Write the name that it was made for into the URL"
_VERIFY = {  # X509_V_ERR_... of OpenSSL
    9: "its certificate is not valid yet. Is the clock of this machine right?",
    10: "its certificate has expired. Renew it there",
    18: _UNKNOWN, 19: _UNKNOWN, 20: _UNKNOWN, 21: _UNKNOWN,
    62: _OTHER, 63: _OTHER, 64: _OTHER,
}  # fmt: skip
_PLAIN = "no TLS is spoken there. Is it the port for TLS? Without TLS it is redis://"


def reason(error: ssl.SSLError) -> str:
    """Why it was refused, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, f"its certificate is not accepted ({error.verify_message})").format(
            error.verify_message.rstrip(".")
        )
    if isinstance(error, ssl.SSLEOFError):
        return "it closed the connection while TLS began. Does it want a certificate of ours (ssl_certfile=, ssl_keyfile=)? Its log may say"
    said = error.reason or ""
    if "WRONG_VERSION" in said or "RECORD_LAYER" in said or "PACKET_LENGTH" in said:
        return _PLAIN
    if "PROTOCOL" in said:
        return "it speaks no TLS from 1.2 on. Set tls-protocols there"
    return f"TLS was refused ({said or error})"


def unsafe(options: Mapping[str, Any]) -> str:
    """What is not checked of the server's certificate with these options of a URL; "" where all is."""
    if str(options.get("ssl_cert_reqs", "required")) == "none":
        return "the server's certificate is not checked (ssl_cert_reqs=none)"
    if options.get("ssl_check_hostname", True) in (False, "False", "false", "0", "no"):
        return "the server's name in its certificate is not checked (ssl_check_hostname=false)"
    return ""
