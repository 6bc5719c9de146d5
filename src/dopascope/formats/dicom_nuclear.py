"""DICOM NM multi-frame images: reconstructed tomography into a Volume, everything else refused by name.

Geometry (PS3.3):
- C.8.4.11, Detector Information Sequence: Image Position (Patient) is the centre of the first voxel
  transmitted, Image Orientation (Patient) the directions of row and column.
- C.8.4.15, Spacing Between Slices: "measured ... along the normal to the first image. The sign ...
  determines the direction of stacking. The normal is determined by the cross product of the direction
  cosines of the first row and first column of the first frame, such that a positive spacing indicates
  slices are stacked behind the first slice and a negative spacing ... in front of" it.
- C.8.4.8, Slice Vector: the slice number of each frame, in whatever order the frames come.

So the centre of frame n, with slice numbers v, spacing s and normal = row x column, is
`position + (v[n] - v[0]) * s * normal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import GeometryError, UnsupportedError
from dopascope.formats.blob import Blob
from dopascope.formats.dicom_acquisition import acquisition_of
from dopascope.formats.dicom_file import Header, read_header
from dopascope.formats.dicom_pixels import PixelModule, pixel_module, stored_values
from dopascope.formats.dicom_plane import Plane, plane_of
from dopascope.formats.dicom_values import real_values
from dopascope.formats.registry import ReadOptions
from dopascope.volume import Grid, Source, Volume
