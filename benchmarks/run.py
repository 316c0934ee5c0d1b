"""Every benchmark in turn, as `make bench` runs them.

python -m benchmarks.run               engine, pages, then learning (units not there yet)
python -m benchmarks.run engine        only that one
"""

from __future__ import annotations

import argparse
import subprocess
import sys

# Each is a process of its own: none warms up or slows down the next.
COMMANDS: dict[str, list[str]] = {
    "engine": ["benchmarks.engine_speed"],
    "pages": ["benchmarks.key_to_paint"],
    "learning": ["benchmarks.learning", "--all"],
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
        print("python -m", *COMMANDS[name], flush=True)
        status = subprocess.run([sys.executable, "-m", *COMMANDS[name]]).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
