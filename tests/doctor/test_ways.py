"""What a doctor says of the way to a server, by its URL."""

import pytest

from chute.address import Address
from chute.doctor.ways import judge

FAR = "no TLS, and the server is on another machine"
OPEN = "no password"
NAMELESS = "the server's name in its certificate is not checked (ssl_check_hostname=false)"
BLIND = "the server's certificate is not checked (ssl_cert_reqs=none)"


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("", []),
        ("unix:///run/redis.sock", []),
        ("redis://localhost", []),
        ("redis://127.0.0.2:6379/3", []),
        ("redis://[::1]", []),
        ("redis://:p@10.0.0.5", [FAR]),
        ("valkey://10.0.0.5", [FAR, OPEN]),
        ("redis://localhost.example.com", [FAR, OPEN]),
        ("redis+sentinel://:p@a,b/main", [FAR]),
        ("redis+cluster://a,b", [FAR, OPEN]),
        ("rediss://u:p@example.com", []),
        ("valkeys://u:p@example.com?ssl_cert_reqs=required", []),
        ("rediss+cluster://u:p@a,b?ssl_cert_reqs=none", [BLIND]),
        ("rediss://u:p@example.com?ssl_cert_reqs=none", [BLIND]),
        ("rediss://u:p@example.com?ssl_check_hostname=false", [NAMELESS]),
        ("rediss://localhost?ssl_cert_reqs=none", [BLIND]),
    ],
)
def test_ways(url: str, mend: list[str]) -> None:
    said = [*judge(Address(url, "--url"))]
    assert [remark.what for remark in said if remark.state == "mend"] == mend
    assert [remark.state for remark in said] == (["mend"] * len(mend) or ["well"])
