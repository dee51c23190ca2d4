"""Quick forms of the benchmarks: ratios with wide margins, which also hold on a busy machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(code: str) -> list[float]:
    """Run code in a process of its own, with all cores; return the numbers of its last line."""
    ours = {"BRAINAI_ENGINE", "OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT"}  # set for tests
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.splitlines()[-1].split()]


def test_a_compiled_network_is_no_slower_than_torch() -> None:
    """Measured: docs/benchmarks.md."""
    pytest.importorskip("openvino")
    own, compiled, int8 = run(
        "from benchmarks.engines import SLICE, milliseconds\n"
        "from brainai.inference.classifier import Classifier\n"
        "engines = ('torch', 'openvino', 'int8')\n"
        "loaded = [Classifier.load('weights', 'cpu', engine=name) for name in engines]\n"
        "works = {n: lambda c=c: c.predict(SLICE) for n, c in enumerate(loaded)}\n"
        "print(*milliseconds(works, 5).values())"
    )
    assert compiled < 1.1 * own
    assert int8 < 1.1 * own


def test_a_crowd_is_served_no_slower_than_by_a_plain_interface() -> None:
    """Measured: docs/benchmarks.md."""
    pytest.importorskip("openvino")
    app, plain = run(
        "from benchmarks.crowd import SERVERS, rate\n"
        "from benchmarks.serving import serving\n"
        "rates = []\n"
        "for port, (arguments, name) in enumerate(SERVERS.values(), 7960):\n"
        "    with serving([*arguments, 'weights'], port) as url:\n"
        "        rates.append(rate(url, name, 8, asked=3)[0])\n"
        "print(*rates)"
    )
    assert app > 0.9 * plain


def test_importing_brainai_loads_nothing_heavy_and_the_app_loads_no_scikit_learn() -> None:
    """Both were a large part of the time of a start (`python -m benchmarks.start`)."""
    assert run(
        "import sys\n"
        "import brainai\n"
        "heavy = {'torch', 'numpy', 'timm', 'gradio', 'PIL'} & set(sys.modules)\n"
        "import brainai.web.serve\n"
        "heavy |= {'sklearn', 'accelerate', 'openvino'} & set(sys.modules)\n"
        "print(len(heavy))"
    ) == [0]


def test_two_processes_judge_a_cohort_faster_than_one_and_memory_stays_flat() -> None:
    """Measured: docs/benchmarks.md."""
    one, two, early, late = run(
        "import tempfile\n"
        "from pathlib import Path\n"
        "from benchmarks.cohort import ONE, TWO, follow, rate, write_scans\n"
        "rates = []\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    root = Path(folder) / 'scans'\n"
        "    write_scans(root, 8, step_mm=10.0)\n"
        "    for number, start in enumerate((ONE, TWO)):\n"
        "        out = Path(folder) / str(number)\n"
        "        out.mkdir()\n"
        "        environment = {'LOKY_MAX_CPU_COUNT': '1', 'GLOO_SOCKET_IFNAME': 'lo'}\n"
        "        command = [*start, '--scans', str(root), '--out', str(out), '--cpu']\n"
        "        samples = follow(command, environment, out)\n"
        "        rates.append(rate(samples))\n"
        "half = [sample.megabytes for sample in samples if 2 <= sample.done < 5]\n"
        "rest = [sample.megabytes for sample in samples if 5 <= sample.done < 8]\n"
        "print(*rates, max(half), max(rest))"
    )
    assert two > one
    assert late < 1.2 * early
