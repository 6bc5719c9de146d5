"""How far registrations of simulated people are off, from which `quant.pose` has its two constants.

    python tests/quant/calibrate_pose.py [--people N]

Prints, for shift and tilt about the middle of the striatum and for the head's size, the root mean square of estimate
against truth and what the registration states. Seeds are far from those of the tests of coverage.
"""

from __future__ import annotations

import argparse

import numpy as np

from dopascope import geometry
from dopascope.phantom import CAMERAS, draw_person, draw_pose, scan
from dopascope.space import register
from dopascope.space.quality import STRIATAL_CENTRE_MM

FIRST_SEED = 1000
CAMERA_LIST = tuple(CAMERAS.values())
GROUPS = ("healthy", "pd")


def errors(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Shift (mm), tilt (degrees) and relative size (9,) of one registration against the truth."""
    shift = geometry.apply_affine(found, STRIATAL_CENTRE_MM) - geometry.apply_affine(true, STRIATAL_CENTRE_MM)
    tilt = geometry.rotation_degrees(found @ np.linalg.inv(true))
    size = geometry.spacing_mm(found) / geometry.spacing_mm(true) - 1
    return np.concatenate([shift, tilt, size])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100)
    made, stated = [], []
    for seed in range(FIRST_SEED, FIRST_SEED + parser.parse_args().people):
        camera = CAMERA_LIST[seed // 2 % len(CAMERA_LIST)]
        volume, truth = scan(draw_person(seed, GROUPS[seed % 2]), camera, draw_pose(seed), seed)
        registration = register(volume)
        made.append(errors(registration.mni_to_scan, truth.mni_to_scan))
        stated.append(np.diag(registration.pose_covariance))
    rms = np.sqrt(np.mean(np.square(made), axis=0))
    said = np.sqrt(np.mean(stated, axis=0))
    print("shift mm      ", rms[:3].round(3), "stated", said[:3].round(3))
    print("tilt degrees  ", rms[3:6].round(3), "stated", said[3:].round(3))
    print("relative size ", rms[6:].round(4))
    print("variance found / stated: shift", round(float((rms[:3] ** 2).sum() / (said[:3] ** 2).sum()), 3), end=", ")
    print("tilt", round(float((rms[3:6] ** 2).sum() / (said[3:] ** 2).sum()), 3))


if __name__ == "__main__":
    main()
