"""More known bugs, for the rows that `seeded` has none for: of handlers, clocks, surroundings and volume."""

from chaos.seeded import BUGS, Bug, Edit

_STOP_NOW = "        if self.stopping:\n            self._now.set()\n"
_JUDGED = (
    "    except BaseException as error:\n        return verdict.judged(held, opened.task.policy, error)\n"
    "    if fork.Here.child:\n        fork.end(waits=type(came) is tuple)\n    return came\n\n\n"
)
_FIRST, _FURTHER = f"{_JUDGED}@coroutine\n", f"{_JUDGED}async def _awaited"
_IN_THREAD = "    except BaseException as error:  # no thread should see SystemExit\n"
_CHARGE = "elif mark in ran and not child.killed and not child.left:"
_DEAFENED = "if child.deaf or (child.ready and not child.stopping):"
_ENDED = "        self._marks[slot] = -abs(self._marks[slot])\n"
_GROUP = "            self._kill_group()  # what its handlers started\n"
_LATE = "late = now - self._looked.get(queue, now) > GAP * self._timing.beat"
_FORGET = "if redis.call('EXISTS', KEYS[2]) == 0 then\n  redis.call('HDEL'"
_TAKE = "if #held > 0 then redis.call('HSET', KEYS[3], unpack(held)) end\n"
_ROOM = "      if room <= 0 then break end\n"
_PLUS = "if string.sub(ARGV[3], 1, 1) == '+' then due = due + now[1] * 1000 + math.floor(now[2] / 1000) end"
_WRITE = "        except (OSError, ValueError):\n            pass\n\n\nclass Print"
_KNOWN = {bug.what: bug.edits for bug in BUGS}

MORE = (
    Bug(
        "a second SIGTERM is not heard", "W05", "a second SIGTERM took",
        (Edit("supervisor/__init__.py", _STOP_NOW, "        if self.stopping:\n            pass\n"),),
    ),
    Bug(
        "a process that ends with 0 is charged to nobody", "W08", "no result after",
        (Edit("supervisor/settle.py", _CHARGE, _CHARGE.replace(":", " and child.code:")),),
    ),
    Bug(
        "what is no Exception is not contained", "W09", "no result after",
        (
            Edit("worker/execute.py", _FIRST, _FIRST.replace("BaseException", "Exception")),
            Edit("worker/execute.py", _FURTHER, _FURTHER.replace("BaseException", "Exception")),
        ),
    ),
    Bug(
        "a process that has no memory ends", "W10", "ended with",
        (
            Edit(
                "worker/threads.py", _IN_THREAD,
                f"{_IN_THREAD}        if isinstance(error, MemoryError):\n            __import__('os')._exit(1)\n",
            ),
        ),
    ),
    Bug("there is no end to the deaths of a job", "W10b", "ran", (Edit("worker/charge.py", "POISON = 3\n", "POISON = 5\n"),)),
    Bug("a silent loop is not spoken of", "W13", "was reported after", (Edit("supervisor/watch.py", "SILENT = 1.0\n", "SILENT = 60.0\n"),)),
    Bug(
        "what a handler started outlives its process", "W15", "outlived",
        (
            Edit("supervisor/child.py", _GROUP, ""),
            Edit("supervisor/child.py", "            self._kill_group()\n            self._process.kill()", "            self._process.kill()"),
        ),
    ),
    Bug("what a handler started outlives its worker", "W15b", "outlived", (Edit("supervisor/child.py", _GROUP, ""),)),
    Bug("a process without signals is waited for", "W16", "handles signals", (Edit("supervisor/child.py", _DEAFENED, "if child.deaf:"),)),
    Bug("who has ended is charged nothing", "W16", "closes all files", (Edit("worker/board.py", _ENDED, "        self._marks[slot] = 0\n"),)),
    Bug(
        "results have no bound", "W17", "the server grew",
        (Edit("outcome.py", "MAX_RESULT = 256 << 10\n", "MAX_RESULT = 256 << 20\n"),),
    ),
    Bug(
        "a log line that cannot be written raises", "W18", "not drained",
        (Edit("cli/logs.py", _WRITE, "        except ZeroDivisionError:\n            pass\n\n\nclass Print"),),
    ),
    Bug(
        "workers are named by host and process number", "W19", "did not register",
        (
            Edit(
                "worker/lane.py", "secrets.token_hex(16)",
                "__import__('hashlib').md5(f\"{__import__('os').uname().nodename} {__import__('os').getpid()}\".encode()).hexdigest()",
            ),
        ),
    ),
    Bug("nobody forgets the dead", "W20", "are registered", (Edit("scripts/reclaim.lua", _FORGET, "if false then\n  redis.call('HDEL'"),)),
    Bug(
        "leases have a TTL", "T01", "lost",
        (Edit("scripts/claim.lua", _TAKE, f"{_TAKE}    redis.call('PEXPIRE', KEYS[3], 30000)\n"),),
    ),
    Bug(
        "delays are counted by the clock of the caller", "T02", "beside its time",
        (Edit("call.py", 'f"+{round(duration.seconds(delay) * 1000)}"', "str(round((__import__('time').time() + duration.seconds(delay)) * 1000))"),),
    ),
    Bug("who was suspended judges by what it missed", "T03", "taken for dead", (Edit("worker/reclaim.py", _LATE, "late = False"),)),
    Bug(
        "a claim reads the whole queue", "L01", "/s with a million waiting",
        (Edit("scripts/claim.lua", "  local taken, more = 0, true\n", "  local taken, more = 0, true\n  redis.call('LRANGE', KEYS[s], 0, -1)\n"),),
    ),
    Bug("results live for ever", "L02", "keys,", (Edit("scripts/finish.lua", "not bad(try('EXPIRE', key, ttl))", "true"),)),
    Bug("a claim has no bound in bytes", "L03", "are allowed", (Edit("scripts/claim.lua", "tonumber(ARGV[4])", "1e15"),)),
    Bug("the dead's jobs are taken over at once", "L04", "arguments at once", (Edit("worker/reclaim.py", "PAGE = 32\n", "PAGE = 3999\n"),)),
    Bug(
        "the queues come in a fixed order", "L06", "p99 of the wait",
        (Edit("worker/claim.py", "    return lane.turn.rank, lane.served\n", "    return lane.turn.rank, 0.0 if lane.name == 'jobs' else 1.0\n"),),
    ),
    Bug("workers are closed by age, not by lack of progress", "L06b", "taken for dead", _KNOWN["workers are closed by age, not by lack of progress"]),
    Bug(
        "each look at a queue reads the names of all", "L06c", "chute stats took",
        (Edit("admin.py", "of_queue.get(name, [])", "endpoint.run(store.lists())"),),
    ),
    Bug("due jobs are moved one at a time", "L07", "until all were released", (Edit("holdings.py", "(want=PROMOTED)", "(want=1)"),)),
    Bug("a URL is shown whole", "W07", "a password is shown", (Edit("address.py", "    url = str(url).translate(_IGNORED)\n", "    return url\n"),)),
    Bug("a job is popped without a lease", "L08", "lost", _KNOWN["a job is popped without a lease"]),
)  # fmt: skip

ALL = (*BUGS, *MORE)
