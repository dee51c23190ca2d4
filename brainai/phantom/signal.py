"""Compute the MR signal of tissues from proton density, T1, T2 and the timings of each sequence.

T1 and T2 are those at 3 tesla, in ms. Sources of the values:

- gray and white matter: Wansapura et al. 1999 (J Magn Reson Imaging 9:531),
- blood, muscle and the T2 of gray matter: Stanisz et al. 2005 (Magn Reson Med 54:507),
- the T1 of fat, and marrow: de Bazelaire et al. 2004 (Radiology 230:652),
- proton densities: BrainWeb, Kwan et al. 1999 (IEEE Trans Med Imaging 18:1085); white matter has
  the lower 0.7 of quantitative maps.

The published T1 of white matter varies from 0.6 to 1.1 s (Assländer 2024, arXiv:2409.05318).
Therefore the values of each patient are drawn around these.

The other values were chosen without measurements. Fluid and vitreous have a long T1 and T2. Tumor,
edema and spots lie between white matter and fluid, as in relaxometry (Blystad et al. 2020, Sci Rep,
PMC7581520). Flowing blood has a T2 of 15 ms, because it is dark in spin echoes. Fat has a T2 of
130 ms, because it is bright in trains of spin echoes.
"""

from dataclasses import dataclass

import numpy as np

# name: proton density (fluid is 1), T1 (ms), T2 (ms), contrast agent taken up (mM)
TISSUES: dict[str, tuple[float, float, float, float]] = {
    "fluid": (1.00, 4300, 1500, 0.0),
    "gray": (0.82, 1331, 99, 0.02),
    "white": (0.70, 832, 79, 0.01),
    "edema": (0.85, 1350, 165, 0.01),
    "tumor": (0.86, 1500, 165, 0.03),
    "necrosis": (0.95, 2500, 330, 0.02),
    "enhancing": (0.84, 1350, 120, 0.60),
    "spot": (0.80, 1200, 125, 0.01),
    "vessel": (0.90, 1900, 15, 2.5),
    "plexus": (0.95, 2200, 160, 0.50),
    "fat": (0.90, 380, 130, 0.0),
    "marrow": (0.60, 590, 70, 0.02),
    "bone": (0.06, 900, 30, 0.0),
    "muscle": (0.80, 1420, 42, 0.08),
    "skin": (0.70, 900, 55, 0.10),
    "mucosa": (0.90, 1600, 160, 0.35),
    "vitreous": (1.00, 4000, 900, 0.0),
    "air": (0.00, 1000, 50, 0.0),
}
NAMES = tuple(TISSUES)
INDEX = {name: i for i, name in enumerate(NAMES)}
STEADY = ("air", "bone", "fluid")  # the same in all patients
RELAXIVITY_1 = 4.5e-3  # of gadolinium chelates in blood, per ms and mM
RELAXIVITY_2 = 5.5e-3  # per ms and mM
PD_TE = 15.0  # echo time of proton density, ms; its repetition time is that of T2


@dataclass(frozen=True)
class Protocol:
    """The timings of an examination.

    Repetition times (`tr`), echo times (`te`) and the inversion time (`ti`) are in ms, the flip
    angle is in degrees. A T1 is a gradient echo or a spin echo.
    """

    flair_tr: float
    flair_te: float
    flair_ti: float
    t2_tr: float
    t2_te: float
    t1_gradient_echo: bool
    t1_tr: float
    t1_te: float
    t1_flip: float
    fat_saturation: float  # what is left of the signal of fat, about 0.15 to 1.1


def draw_protocol(rng: np.random.Generator) -> Protocol:
    """Return random timings as hospitals use them."""
    gradient_echo = bool(rng.random() < 0.5)
    flair_tr = rng.uniform(8500, 10500)
    fluid_t1 = TISSUES["fluid"][1]
    null = fluid_t1 * np.log(2 / (1 + np.exp(-flair_tr / fluid_t1)))
    return Protocol(
        flair_tr=flair_tr,
        flair_te=rng.uniform(85, 125),
        flair_ti=null * rng.uniform(0.975, 1.025),
        t2_tr=rng.uniform(3500, 6000),
        t2_te=rng.uniform(85, 115),
        t1_gradient_echo=gradient_echo,
        t1_tr=rng.uniform(20, 30) if gradient_echo else rng.uniform(420, 620),
        t1_te=rng.uniform(3, 6) if gradient_echo else rng.uniform(8, 15),
        t1_flip=rng.uniform(22, 32),
        fat_saturation=rng.uniform(0.15, 0.5) if rng.random() < 0.25 else rng.uniform(0.8, 1.1),
    )


def tissue_signals(protocol: Protocol, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the signal of pure tissues in a patient, for each sequence.

    Returns:
        `{sequence: signals}` for flair, t1c, t2, t1 and pd; signals are `[len(NAMES)]`.
    """
    density, t1, t2, agent = np.array(list(TISSUES.values())).T
    vary = np.array([name not in STEADY for name in NAMES])
    t1 = t1 * np.where(vary, rng.normal(1, 0.03, len(NAMES)), 1)
    t2 = t2 * np.where(vary, rng.normal(1, 0.06, len(NAMES)), 1)
    agent = agent * rng.uniform(0.6, 1.5)
    t1c_t1 = 1 / (1 / t1 + RELAXIVITY_1 * agent)
    t1c_t2 = 1 / (1 / t2 + RELAXIVITY_2 * agent)

    def t1_weighted(t1: np.ndarray, t2: np.ndarray) -> np.ndarray:
        if protocol.t1_gradient_echo:
            return gradient_echo(density, t1, protocol.t1_tr, protocol.t1_flip)
        return spin_echo(density, t1, t2, protocol.t1_tr, protocol.t1_te)

    signals = {
        "flair": inversion_recovery(
            density, t1, t2, protocol.flair_tr, protocol.flair_te, protocol.flair_ti
        ),
        "t1c": t1_weighted(t1c_t1, t1c_t2),
        "t2": spin_echo(density, t1, t2, protocol.t2_tr, protocol.t2_te),
        "t1": t1_weighted(t1, t2),
        "pd": spin_echo(density, t1, t2, protocol.t2_tr, PD_TE),
    }
    for values in signals.values():
        values[[INDEX["fat"], INDEX["marrow"]]] *= protocol.fat_saturation
    return signals


def spin_echo(
    density: np.ndarray, t1: np.ndarray, t2: np.ndarray, tr: float, te: float
) -> np.ndarray:
    """Return the signal of a spin echo."""
    return density * (1 - np.exp(-tr / t1)) * np.exp(-te / t2)


def inversion_recovery(
    density: np.ndarray, t1: np.ndarray, t2: np.ndarray, tr: float, te: float, ti: float
) -> np.ndarray:
    """Return the magnitude of a spin echo after an inversion. The right `ti` makes fluid black."""
    recovered = 1 - 2 * np.exp(-ti / t1) + np.exp(-tr / t1)
    return density * np.abs(recovered) * np.exp(-te / t2)


def gradient_echo(density: np.ndarray, t1: np.ndarray, tr: float, flip: float) -> np.ndarray:
    """Return the signal of a spoiled gradient echo in its steady state.

    The echo time is so short that T2* does not matter.

    Args:
        flip: flip angle, degrees.
    """
    angle, left = np.deg2rad(flip), np.exp(-tr / t1)
    return density * np.sin(angle) * (1 - left) / (1 - np.cos(angle) * left)


def receive(signal: np.ndarray, sigma: float, grain: float, rng: np.random.Generator) -> np.ndarray:
    """Return a slice as a scanner stores it: a magnitude with Rician noise, `[X, Y]` float32.

    Args:
        signal: `[X, Y]`.
        sigma: standard deviation of the noise in each of the two channels.
        grain: the part of the noise of each neighbor that is added to that of a voxel, 0 to 0.5, as
            in interpolated pictures.
    """
    noise = rng.standard_normal((2, *signal.shape), np.float32)
    for axis in (1, 2):
        noise = noise + grain * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
    noise *= sigma / (1 + 2 * grain**2)
    return np.hypot(signal + noise[0], noise[1]).astype(np.float32)
