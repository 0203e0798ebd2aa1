"""The long form of the first promise: a thousand runners killed, and what was found afterwards (`make trial`).

    python tests/trial.py [--kills 1000] [--seed N] [--threads 4] [--command]

On an embedded PostgreSQL of its own (PGYOYO_TEST_POSTGRES says which), or on the server of DATABASE_URL, where it makes
and drops databases named kill_*. It ends with 0 if after each kill ledger, log, journal, data and catalog agreed, and the
next plain run finished the work with nothing done twice; else with the first failure.
"""

import argparse
import os
import signal
import sys
import time
from contextlib import ExitStack

from killing import Trial, figures, plan_kills
from own_server import superuser
from running import Runners

SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill runners and look.")
    parser.add_argument("--kills", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, metavar="N")
    parser.add_argument("--threads", type=int, default=2 * (os.cpu_count() or 1), metavar="N", help="kills at once")
    parser.add_argument("--command", action="store_true", help="start each runner anew in place of forking it; slower")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as ctrl-C does: the server is stopped
    print(f"--seed {chosen.seed}", flush=True)
    with superuser(SETTINGS) as conninfo, Runners(command=chosen.command) as runners, ExitStack() as stack:
        trial = Trial(conninfo, runners, stack)
        kills = plan_kills(chosen.kills, chosen.seed, trial.requests())
        for start in range(0, len(kills), 100):
            trial.all(kills[start : start + 100], threads=chosen.threads)
            if sys.stderr.isatty():
                print(f"\r{start + len(kills[start : start + 100])} kills", end="", file=sys.stderr)
        print(figures(trial))


if __name__ == "__main__":
    main()
