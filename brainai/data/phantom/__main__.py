"""`python -m brainai.data.phantom`: write simulated studies, or the pictures of `examples/`."""

import argparse
import sys
from pathlib import Path

from brainai.console import print_anywhere
from brainai.data import phantom
from brainai.errors import BrainAIError


def main(arguments: list[str] | None = None) -> int:
    """Command line; gives the exit status, 2 where the user can mend what went wrong."""
    print_anywhere()
    parser = argparse.ArgumentParser(prog="python -m brainai.data.phantom", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="write studies into this folder, as BraTS 2021 does")
    what.add_argument("--examples", type=Path, help="write the examples of the demo here")
    what.add_argument(
        "--decoys", type=Path, help="write heads in T1, T2 and proton density here, as scans"
    )
    parser.add_argument("--count", type=int, default=8, help="how many studies (8)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same studies (0)")
    parser.add_argument(
        "--spacing", type=float, nargs=3, default=(1.0, 1.0, 4.0), metavar="MM", help="(1 1 4)"
    )
    options = parser.parse_args(arguments)
    try:
        if options.examples:
            paths = phantom.write_examples(options.examples)
        elif options.decoys:
            paths = phantom.write_decoys(options.decoys, options.count, options.seed, progress=True)
        else:
            paths = phantom.write_studies(
                options.out, options.count, options.seed,
                spacing_mm=tuple(options.spacing), progress=True,
            )  # fmt: skip
    except BrainAIError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"wrote {len(paths)} into {options.examples or options.decoys or options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
