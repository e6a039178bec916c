"""A producer that knows nothing of Chute: redis-py alone, one LPUSH in, one HGETALL out. Any language can do the same.

In this directory, in two terminals:

    chute work quickstart_sync --url redis://localhost:6379
    python plain_redis_producer.py "What is RAG?"

REDIS_URL names another server.
"""

import json
import os
import sys
import time
import uuid

import redis


def main(question: str) -> int:
    with redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost:6379"), decode_responses=True) as server:
        # Every key is an argument of the task, but for job_id, which names the job, and those that begin with "@".
        job = {"job_id": str(uuid.uuid4()), "question": question}
        server.lpush("queue:quickstart", json.dumps(job))

        # The result is a hash that appears once the job has ended; its status says how.
        for _ in range(300):
            result = server.hgetall(f"result:{job['job_id']}")
            if "completed_at" in result:
                print(result["status"], result.get("answer") or result.get("error"))
                return 0 if result["status"] == "completed" else 1
            time.sleep(0.1)
    print("no result within 30 s: does a worker run?", file=sys.stderr)
    return 3


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]) or "What is RAG?"))
