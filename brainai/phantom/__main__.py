"""Write simulated studies, scans of heads that are no FLAIR, or the examples of the demo.

python -m brainai.phantom --out FOLDER
"""

import sys
from collections.abc import Sequence

from brainai.command_line import run_command
from brainai.phantom.files import write_decoys, write_examples, write_studies
from brainai.phantom.options import Phantoms


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Return 0, or 2 after a one-line error message."""
    return run_command(Phantoms, run, arguments, "python -m brainai.phantom")


def run(options: Phantoms, _: Sequence[str]) -> None:
    """Write what the options ask for, and print the number of studies or files."""
    if options.examples is not None:
        out, paths = options.examples, write_examples(options.examples)
    elif options.decoys is not None:
        out = options.decoys
        paths = write_decoys(out, options.count, options.seed, progress=True)
    elif options.out is not None:
        out = options.out
        paths = write_studies(
            out, options.count, options.seed, spacing_mm=options.spacing, progress=True
        )
    print(f"wrote {len(paths)} into {out}")


if __name__ == "__main__":
    sys.exit(main())
