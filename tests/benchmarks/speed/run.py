"""Run a command: python -I -S run.py OUTPUT SECONDS COMMAND…; prints its exit code, seconds, and peak memory in KiB.

It is a process of its own because it must be small: the kernel counts the memory of who starts a process as that
process's peak. After SECONDS the command is killed, and the exit code is -9.
"""

import os
import signal
import sys
import time

output, seconds, *command = sys.argv[1:]
log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
nothing = os.open(os.devnull, os.O_RDONLY)
started = time.perf_counter()
pid = os.posix_spawn(
    command[0],
    command,
    os.environ,
    file_actions=[(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)],
    setpgroup=0,
)
for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: os.killpg(pid, signal.SIGKILL))
signal.alarm(int(seconds))
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), time.perf_counter() - started, usage.ru_maxrss)
