"""All peers in the order of the table: what each is run with, and why. Each has the settings that its own documentation names for throughput,
its own default for acknowledging jobs, and results that are kept for an hour."""

from benchmarks.peers.home import NodeHome, PythonHome
from benchmarks.peers.peer import Peer
from benchmarks.peers.usage import expiring, members

QUIET_CELERY = ("-l", "error", "--without-gossip", "--without-mingle", "--without-heartbeat")
UUID = "????????-????-????-????-????????????"
HEX = "[0-9a-f]" * 32


def _celery(name: str, pool: str, choice: str, jobs: int) -> Peer:
    worker = ("celery", "-A", "celery_app", "worker", "-P", pool, "-c", "1", *QUIET_CELERY)
    home = PythonHome("celery", ("celery", "redis"))
    return Peer(name, choice, home, "celery_app", worker, expiring("celery-task-meta-*"), jobs)


def _taskiq(name: str, broker: str, choice: str, jobs: int) -> Peer:
    worker = ("taskiq", "worker", "taskiq_app:broker", "-w", "1", "--log-level", "ERROR", "--max-async-tasks", "100")
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
    _celery("celery", "prefork", "prefork, one process, prefetch 200; one producer for all jobs; gossip, mingle and heartbeat off", 3000),
    _celery("celery-solo", "solo", "as celery, but jobs run in the main process: its quickest pool for jobs that do nothing", 3000),
    Peer(
        "docket",
        "concurrency 100, looks for jobs each ms instead of each 250; add_many",
        PythonHome("docket", ("pydocket", "redis")),
        "docket_app",
        ("python", "run.py", "docket_app", "work"),
        expiring("bench:results:*"),
        3000,
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
        5000,
    ),
    Peer(
        "dramatiq",
        "one process of 8 threads, its default; one send at a time, it has no bulk",
        PythonHome("dramatiq", ("dramatiq", "redis")),
        "dramatiq_app",
        ("dramatiq", "dramatiq_app", "-p", "1", "-t", "8"),
        expiring(HEX),
        6000,
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
        "8 threads, results that expire; one call at a time, it has no bulk",
        PythonHome("huey", ("huey", "redis")),
        "huey_app",
        ("huey_consumer", "huey_app.huey", "-w", "8", "-q"),
        expiring("huey.r.bench.*"),
        6000,
    ),
    _taskiq(
        "taskiq-list",
        "ListQueueBroker",
        "list, no acknowledgement: a killed worker loses jobs; 100 tasks, uvloop; 100 kiq calls at once",
        6000,
    ),
    _taskiq("taskiq-stream", "RedisStreamBroker", "stream with acknowledgements; 100 tasks, uvloop; 100 kiq calls at once", 6000),
    Peer(
        "bullmq",
        "Python, concurrency 100, uvloop, finished jobs removed by age; addBulk by 500",
        PythonHome("bullmq", ("bullmq", "redis")),
        "bullmq_app",
        ("python", "run.py", "bullmq_app", "work"),
        members("bull:bench:completed"),
        6000,
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
        60_000,
        filler=("node", "bullmq_app.mjs"),
    ),
)

PEERS: dict[str, Peer] = {peer.name: peer for peer in _PEERS}
