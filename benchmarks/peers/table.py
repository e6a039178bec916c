"""All peers in the order of the table, the slowest first: what each is run with, and why. Each has the settings with which it drained quickest of
those that its documentation offers, its own default for acknowledging jobs, and results that are kept for an hour."""

from benchmarks.peers.home import NodeHome, PythonHome
from benchmarks.peers.peer import Peer
from benchmarks.peers.usage import expiring, members

QUIET_CELERY = ("-l", "error", "--without-gossip", "--without-mingle", "--without-heartbeat")
HEX = "[0-9a-f]" * 32


def _taskiq(name: str, broker: str, choice: str, jobs: int) -> Peer:
    worker = (
        "taskiq",
        "worker",
        "taskiq_app:broker",
        "-w",
        "1",
        "--log-level",
        "ERROR",
        "--max-async-tasks",
        "100",
        "--max-prefetch",
        "100",
    )
    home = PythonHome("taskiq", ("taskiq", "taskiq-redis", "redis"))
    return Peer(name, choice, home, "taskiq_app", worker, expiring(HEX), jobs, {"BENCH_BROKER": broker})


_PEERS = (
    Peer(
        "rq",
        "SimpleWorker, which runs jobs in its own process: the default forks for each; enqueue_many by 500",
        PythonHome("rq", ("rq", "redis")),
        "rq_app",
        ("python", "run.py", "rq_app", "work"),
        expiring("rq:results:*"),
        1000,
    ),
    Peer(
        "celery",
        "prefork, one process, the quickest of its pools here; prefetch 200; gossip, mingle and heartbeat off; one producer for all jobs",
        PythonHome("celery", ("celery", "redis")),
        "celery_app",
        ("celery", "-A", "celery_app", "worker", "-P", "prefork", "-c", "1", *QUIET_CELERY),
        expiring("celery-task-meta-*"),
        3000,
    ),
    Peer(
        "docket",
        "concurrency 100, looks for free slots each 5 ms instead of each 250; add_many",
        PythonHome("docket", ("pydocket", "redis")),
        "docket_app",
        ("python", "run.py", "docket_app", "work"),
        expiring("bench:results:*"),
        4000,
    ),
    Peer(
        "streaq",
        "concurrency 100, uvloop; enqueue_many by 500",
        PythonHome("streaq", ("streaq", "coredis")),
        "streaq_app",
        ("python", "run.py", "streaq_app", "work"),
        expiring("streaq:default:task:results:*"),
        4000,
    ),
    Peer(
        "arq",
        "100 jobs at once, reads 500, looks each 10 ms, uvloop; 100 enqueue_job calls at once",
        PythonHome("arq", ("arq", "redis")),
        "arq_app",
        ("python", "run.py", "arq_app", "work"),
        expiring("arq:result:*"),
        8000,
    ),
    Peer(
        "dramatiq",
        "one process of 16 threads, quicker here than 8, its default, or 32; one send at a time, it has no bulk",
        PythonHome("dramatiq", ("dramatiq", "redis")),
        "dramatiq_app",
        ("dramatiq", "dramatiq_app", "-p", "1", "-t", "16"),
        expiring(HEX),
        8000,
    ),
    Peer(
        "saq",
        "concurrency 100, uvloop; 100 enqueue calls at once",
        PythonHome("saq", ("saq", "redis")),
        "saq_app",
        ("saq", "saq_app.settings"),
        expiring("saq:job:default:*"),
        6000,
    ),
    Peer(
        "huey",
        "4 threads, quicker here than 1, 8 or 16; results that expire; one call at a time, it has no bulk",
        PythonHome("huey", ("huey", "redis")),
        "huey_app",
        ("huey_consumer", "huey_app.huey", "-w", "4", "-q"),
        expiring("huey.r.bench.*"),
        8000,
    ),
    _taskiq(
        "taskiq-list",
        "ListQueueBroker",
        "list, no acknowledgement: a killed worker loses jobs; 100 tasks and 100 prefetched, uvloop; 100 kiq calls at once",
        6000,
    ),
    _taskiq(
        "taskiq-stream",
        "RedisStreamBroker",
        "stream with acknowledgements; 100 tasks and 100 prefetched, uvloop; 100 kiq calls at once",
        6000,
    ),
    Peer(
        "bullmq",
        "Python, concurrency 100, uvloop, finished jobs removed by age; addBulk by 500",
        PythonHome("bullmq", ("bullmq", "redis")),
        "bullmq_app",
        ("python", "run.py", "bullmq_app", "work"),
        members("bull:bench:completed"),
        8000,
    ),
    Peer(
        "ardiq",
        "concurrency 100, default core; enqueue_many by 500",
        PythonHome("ardiq", ("ardiq",), minimum=(3, 12)),
        "ardiq_app",
        ("ardiq", "run", "ardiq_app:app"),
        expiring("*result*"),
        40_000,
    ),
    Peer(
        "bullmq-node",
        "Node, concurrency 100, finished jobs removed by age; addBulk by 500",
        NodeHome("bullmq-node", ("bullmq", "ioredis")),
        "enqueue",
        ("node", "bullmq_app.mjs", "work"),
        members("bull:bench:completed"),
        80_000,
        filler=("node", "bullmq_app.mjs"),
    ),
)

PEERS: dict[str, Peer] = {peer.name: peer for peer in _PEERS}
