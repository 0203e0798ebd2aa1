"""As fast as psql? pgyoyo beside the tools that people would pick instead (`make bench`).

    python tests/benchmarks/speed [--rounds 3] [--only TASK]... [--tools NAME,NAME] [--seconds 60]

On embedded PostgreSQL 18s of its own, which are removed afterwards. A full run writes its table into README.md and its
picture into speed.svg; a part of it is only printed. Alembic is installed from PyPI, dbmate and node-pg-migrate from npm,
below .venv/bench; what can't be had is left out and named.
"""

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import show
from measure import TASKS, Bench, Figures
from tools import ROOT, Alembic, Dbmate, NodePgMigrate, Pgyoyo, Psql, Sqitch, Tool, Yoyo

from pgyoyo.server import in_memory
from pgyoyo.server.postgres import EmbeddedServer

HERE = Path(__file__).parent
ROUNDS = 3
RAM = in_memory.MEMORY
MEMORY = ["apply-1000", "apply-5000", "file-10mb", "copy-100mb"]


def main() -> None:
    names = [task.name for task in TASKS]
    parser = argparse.ArgumentParser(prog="make bench", description="pgyoyo beside psql and other tools.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"how often each is run ({ROUNDS})")
    parser.add_argument("--only", action="append", choices=names, metavar="TASK", help="of: " + ", ".join(names))
    parser.add_argument("--tools", metavar="NAMES", help="names with commas between; psql and pgyoyo always take part")
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="N", help="a tool that used up this much for a task rests (60)"
    )
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as ctrl-C does: the servers are stopped
    home = Path(tempfile.mkdtemp(prefix="pgyoyo-bench-"))
    home.chmod(0o711)
    # Nothing in the background that hits one tool and not another.
    settings = {"autovacuum": "off", "shared_buffers": "1GB", "checkpoint_timeout": "1h", "max_wal_size": "20GB"}
    server = EmbeddedServer(home / "server", settings=settings)
    ram = Path(tempfile.mkdtemp(prefix="pgyoyo-bench-", dir=RAM if RAM.exists() else None))
    ram.chmod(0o711)
    test_server = EmbeddedServer(ram, settings=settings | in_memory.FAST)
    tools: list[Tool] = [Psql(server.binary("psql")), Pgyoyo()]
    for tool in (Yoyo(), Alembic(), Dbmate(), NodePgMigrate(), Sqitch()):
        if chosen.tools is None or tool.name.lower() in chosen.tools.lower().split(","):
            tool.install(ROOT / ".venv" / "bench")
            if tool.missing:
                print(f"without {tool.name}: {tool.missing}")
            else:
                tools.append(tool)
    bench = Bench(home, (server, test_server), tools, chosen=chosen.only or names, seconds=chosen.seconds)
    try:
        server.ensure_running(lambda _: None)
        test_server.ensure_running(lambda _: None)
        started = time.monotonic()
        for number in range(chosen.rounds):
            bench.round()
            print(f"round {number + 1} of {chosen.rounds}, {time.monotonic() - started:.0f} s", flush=True)
    finally:
        server.stop()
        test_server.stop()
        shutil.rmtree(home)
        shutil.rmtree(ram)
    print_all(bench.figures, tools)
    if chosen.only is None and chosen.tools is None:
        write(bench.figures, [tool.name for tool in tools], chosen.rounds)


def print_all(figures: Figures, tools: list[Tool]) -> None:
    names = [tool.name for tool in tools]
    print()
    for task in TASKS:
        for tool in [*names, "python"]:
            if (seconds := figures.median(task.name, tool)) is not None:
                times = figures.seconds[task.name, tool]
                found = show.ratio(figures, task, tool)
                print(
                    f"{task.name:18}{tool:17}{show.time_words(seconds):>9}"
                    f"{show.ratio_words(found) if found else '':>8}{len(times):>5} runs  "
                    f"{show.time_words(min(times))} to {show.time_words(max(times))}, "
                    f"{figures.memory[task.name, tool] * 1024 / 1e6:.0f} MB"
                )
            elif why := figures.left_out.get((task.name, tool)):
                print(f"{task.name:18}{tool:17}left out: {why}")
    print(f"\n{show.table(figures, names)}\n{show.memory(figures, names, MEMORY)}")


def write(figures: Figures, names: list[str], rounds: int) -> None:
    """The table into README.md, between its two marks, and the picture."""
    how = "One round" if rounds == 1 else f"Medians of at most {rounds} rounds"
    machine = (
        f"{how} on {os.cpu_count()} cores, Linux, PostgreSQL 18, Python {sys.version_info[0]}.{sys.version_info[1]}"
    )
    text = f"{show.table(figures, names)}\n{show.memory(figures, names, MEMORY)}\n{machine}.\n"
    readme = ROOT / "README.md"
    marks = r"(?<=<!-- make bench -->\n)[\s\S]*(?=<!-- until here -->)"
    readme.write_text(re.sub(marks, lambda _: f"\n{text}\n", readme.read_text(encoding="utf-8")), encoding="utf-8")
    (HERE / "speed.svg").write_text(show.picture(figures, names), encoding="utf-8")
    print(f"wrote the table into {readme} and {HERE / 'speed.svg'}")


if __name__ == "__main__":
    main()
