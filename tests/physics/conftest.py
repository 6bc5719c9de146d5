"""Sites small enough to scan in a second."""

from __future__ import annotations

import pytest

from dopascope.phantom.sites import PostFilter, Site


@pytest.fixture(scope="package")
def small_site() -> Site:
    """A LEHR camera with coarse pixels: unequal numbers of pixels, slices and views."""
    return Site(
        "small",
        "siemens-lehr",
        radius_mm=140,
        pixel_mm=4.6,
        matrix=(52, 54),
        slices=34,
        slice_mm=4.6,
        angles=40,
        counts=1e6,
        reconstruction="osem",
        iterations=4,
        subsets=8,
        attenuation="map",
        scatter="tew",
        filter=PostFilter("gaussian", fwhm_mm=7.0),
    )
