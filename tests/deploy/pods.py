"""Containers without an engine: processes in namespaces of their own, with a root that cannot be written, one uid, no capabilities. Needs root, on Linux.

A `Node` is a network of its own, so containers listen at the ports that their manifests say. Its end is the end of everything in it.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

from servers import binary, children, short_directory, until

T = TypeVar("T")
UID = 65532
TOOLS = "/tools"
"""Where programs are that images bring along and this machine has elsewhere."""
_UP = """
import array, fcntl, socket, struct, sys
with socket.socket() as any:
    flags = array.array("B", struct.pack("16sH14x", b"lo", 0))
    fcntl.ioctl(any, 0x8913, flags)
    flags[16] |= 1
    fcntl.ioctl(any, 0x8914, flags)
print("up", flush=True)
sys.stdin.read()
"""
_ROOT = r"""
set -eu
root=$1 pause=$2 mounts=$3
shift 3
mount -t tmpfs -o mode=755 none "$root"
mkdir "$root/proc" "$root/dev" "$root/etc" "$root/usr" "$root/tools"
for each in bin sbin lib lib64 lib32 libx32; do
  if [ -L "/$each" ]; then ln -s "$(readlink "/$each")" "$root/$each"
  elif [ -d "/$each" ]; then mkdir "$root/$each"; mount --bind "/$each" "$root/$each"; mount -o remount,bind,ro "$root/$each"; fi
done
while read -r mode source target; do
  [ -n "$mode" ] || continue
  mkdir -p "$root$(dirname "$target")"
  if [ -d "$source" ]; then mkdir -p "$root$target"; else [ -e "$root$target" ] || touch "$root$target"; fi
  mount --bind "$source" "$root$target"
  [ "$mode" = rw ] || mount -o remount,bind,ro "$root$target"
done < "$mounts"
mount -t proc proc "$root/proc"
mount -o remount,ro "$root"
if [ "$pause" = yes ]; then chroot "$root" "$@" & wait $!; else exec chroot "$root" "$@"; fi
"""
_SETTINGS = ("alternatives", "group", "ld.so.cache", "nsswitch.conf", "passwd", "resolv.conf", "ssl", "uv")
_WITH_US = ("setpriv", "--pdeathsig=KILL")
"""Whatever ends these tests ends it. Said again in the container: who changes its uid forgets it."""
Mount = tuple[str, Path, str]
"""rw or ro, what, where."""


def _of_the_system() -> list[Mount]:
    devices = [("rw", Path("/dev") / name, f"/dev/{name}") for name in ("null", "zero", "urandom", "random")]
    python = [] if Path(sys.base_prefix).is_relative_to("/usr") else [("ro", Path(sys.base_prefix), sys.base_prefix)]
    settings = [("ro", path, str(path)) for name in _SETTINGS if (path := Path("/etc") / name).exists()]
    return [("ro", Path("/usr"), "/usr"), *settings, *devices, *python]


def tools(**programs: str | None) -> list[Mount]:
    """Programs under the names that an image has for them."""
    return [("ro", Path(path), f"{TOOLS}/{name.replace('_', '-')}") for name, path in programs.items() if path]


SERVERS = tools(
    valkey_server=binary("valkey"), valkey_cli=shutil.which("redis-cli"), redis_server=binary("redis"), redis_cli=shutil.which("redis-cli")
)
"""What the images of Valkey and Redis have. One program talks to both."""


class Node:
    """A network with its own loopback. `hosts`: the names that lead there."""

    def __init__(self, *hosts: str) -> None:
        self.home = short_directory()
        self.home.chmod(0o755)
        self.hosts = self.home / "hosts"
        self.hosts.write_text(f"127.0.0.1 localhost {' '.join(hosts)}\n")
        words = [*_WITH_US, "unshare", "--net", sys.executable, "-c", _UP]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._inside = ThreadPoolExecutor(1, initializer=self._enter)

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"up\n", "there is no network namespace here"
        return self

    def __exit__(self, *_: object) -> None:
        self._inside.shutdown()
        self.process.communicate()
        shutil.rmtree(self.home, ignore_errors=True)

    def call(self, what: Callable[[], T]) -> T:
        """Does something in this network: what a node or a neighbour sees."""
        return self._inside.submit(what).result(30)

    def _enter(self) -> None:
        """Of the thread alone."""
        with open(f"/proc/{self.process.pid}/ns/net") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), "setns")


@dataclass
class Container:
    """One container; ends with its `with` block. `pause`: another process is the first one, and waits for orphans, as in a pod that shares its
    processes."""

    command: Sequence[str]
    env: Mapping[str, str]
    mounts: Sequence[Mount]
    node: Node | None = None
    cwd: str = "/"
    uid: int = UID
    pause: bool = False
    home: Path = field(default_factory=short_directory)

    def __enter__(self) -> Self:
        (self.home / "root").mkdir()
        every = [*_of_the_system(), ("ro", self.node.hosts if self.node else Path("/etc/hosts"), "/etc/hosts"), *self.mounts]
        (self.home / "mounts").write_text("".join(f"{mode} {source} {target}\n" for mode, source, target in every))
        network = ["nsenter", f"--net=/proc/{self.node.process.pid}/ns/net"] if self.node else []
        namespaces = ["unshare", "--mount", "--pid", "--ipc", "--fork", "sh", "-c", _ROOT, "sh"]
        given = [str(self.home / "root"), "yes" if self.pause else "no", str(self.home / "mounts")]
        with (self.home / "log").open("wb") as log:
            words = [*_WITH_US, *network, *namespaces, *given, *self._as_told(self.command)]
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if not until(lambda: self._started() or self.process.poll() is not None):
            said = self.log
            self.__exit__()
            raise TimeoutError(f"it does not start: {said}")
        return self

    def __exit__(self, *_: object) -> None:
        for first in children(self.process.pid):  # the kernel ends the others with it
            os.kill(first, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.home)

    def _started(self) -> bool:
        """Whether the main process is no longer what prepares it."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            inside = os.readlink(f"/proc/{self.pid}/root") == str(self.home / "root")
            return inside and b"env\0-i\0" not in Path(f"/proc/{self.pid}/cmdline").read_bytes()
        return False

    def _as_told(self, command: Sequence[str]) -> list[str]:
        given = [f"{name}={value}" for name, value in self.env.items()]
        bare = [
            "setpriv",
            f"--reuid={self.uid}",
            f"--regid={self.uid}",
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
            "--inh-caps=-all",
        ]
        return [*_WITH_US, *(bare if self.uid else []), "env", "-i", "-C", self.cwd, *given, *command]

    @property
    def log(self) -> str:
        """What it has written."""
        return (self.home / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Its main process, as this machine numbers it."""
        (first,) = children(self.process.pid)
        return children(first)[0] if self.pause else first

    def status(self) -> dict[str, str]:
        """What the kernel says of its main process."""
        return dict(line.split(":\t", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if ":\t" in line)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Another process in it, as an exec probe is."""
        assert self.process.poll() is None, self.log
        (first,) = children(self.process.pid)
        inside = ["nsenter", f"--target={first}", "--mount", "--pid", "--net", "--ipc", f"--root=/proc/{self.pid}/root"]
        return subprocess.run([*inside, *self._as_told(command)], capture_output=True, text=True, timeout=30, check=False)

    def zombies(self) -> int:
        """Processes in it that have ended and that nobody has waited for."""
        space = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = 0
        for each in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                found += os.readlink(each / "ns/pid") == space and (each / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return found

    def end(self, seconds: float) -> int:
        """SIGTERM, as when a pod is deleted; the exit code, within so many seconds."""
        os.kill(self.pid, signal.SIGTERM)
        assert until(lambda: self.process.poll() is not None, seconds), self.log
        return self.process.wait()

    def finish(self) -> str:
        """Waits for one that ends by itself, and must do so well; what it wrote."""
        assert self.process.wait(120) == 0, self.log
        return self.log
