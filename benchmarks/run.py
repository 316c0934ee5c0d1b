"""Every benchmark in turn, as `make bench` runs them; results stand in benchmarks/results/.

python -m benchmarks.run               speed, then learning (units that are not there yet)
python -m benchmarks.run speed         only that one
"""

from __future__ import annotations

import argparse
import subprocess
import sys

# Each is a process of its own: none warms up or slows down the next.
COMMANDS: dict[str, list[list[str]]] = {
    "speed": [["benchmarks.speed"]],
    "learning": [["benchmarks.learning", "--all"]],
}


def main() -> int:
    """Run the chosen benchmarks; the first that fails ends the run with its status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of: " + ", ".join(COMMANDS))
    names = parser.parse_args().names or list(COMMANDS)
    if unknown := sorted(set(names) - set(COMMANDS)):
        parser.error(f"there is no benchmark {unknown[0]}; choose from {', '.join(COMMANDS)}")
    for name in names:
        for command in COMMANDS[name]:
            print("python -m", *command, flush=True)
            status = subprocess.run([sys.executable, "-m", *command]).returncode
            if status:
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
