"""`chute metrics`: one target for what is true of a queue whoever asks."""

import json
import re
import signal
import subprocess

from contract.helpers import COMMAND, HERE, environment, push
from scraping import get, scrape, value
from servers import Server


def test_it_serves_figures_and_backlogs_until_it_is_told_to_end(server: Server) -> None:
    client = server.client()
    push(client, "jobs", *[{"job_id": f"j{n}"} for n in range(3)])
    client.sadd("queues", "jobs")
    words = [*COMMAND, "metrics", "--port", "0", "--url", server.url]
    with subprocess.Popen(words, stderr=subprocess.PIPE, cwd=HERE, env=environment(), text=True) as exporter:
        assert exporter.stderr is not None
        said = exporter.stderr.readline()
        (url,) = re.findall(r"figures at (http://127\.0\.0\.1:\d+)/metrics · Ctrl-C ends", said)
        assert value(scrape(f"{url}/metrics"), "queue_depth", queue="jobs") == 3
        assert json.loads(get(f"{url}/queues/jobs")[1]) == {"ready": 3, "running": 0, "scheduled": 0, "backlog": 3}
        assert get(f"{url}/queues/a:b")[0] == 404
        assert get(f"{url}/")[0] == 404
        server.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert value(scrape(f"{url}/metrics"), "chute_server_up") == 1
        exporter.send_signal(signal.SIGTERM)
        assert exporter.wait(10) == 0
