"""Run `brainai train` under `accelerate launch`; the program is brainai/training/__main__.py.

accelerate launch train.py --data DATASET --out RUN              # from ImageNet weights
accelerate launch train.py --preset scratch --data DATASET --out RUN
accelerate launch train.py --preset smoke --data DATASET --out RUN
accelerate launch train.py --data DATASET --out RUN --resume     # after an interruption
accelerate launch train.py --data DATASET --out RUN --push-to-hub owner/name
"""

import sys

from brainai.training.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
