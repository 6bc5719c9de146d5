"""Whether a generator gives back the images it learned from.

Two tests, since either alone misses a way of memorising:

- **Closer.** Training and held-out images are of one distribution, so whatever a generator makes that learned nothing
  particular of its training images, it is as near to either set. Exchanging who is held out, person by person, gives
  the distribution of the nearest-neighbour distance ratio under that: exact for any generator, blurred or wrong ones
  included. It sees many images copied a little; of few training images copied well it cannot tell.
- **Copies.** An image's copy score says how much nearer its nearest training image is than the next ones. Nobody's copy
  are held-out images, training images beside the others, and generated images beside the held-out ones: their scores
  say what chance gives, and more generated images above their top than chance allows are copies. It sees a single image
  given back often. It is no exact test: a generator whose images lie in few dimensions may be near one average training
  image without having copied it. Look at the pairs, and at how many `originals` there are.

Each is tested at half of `alpha`: an honest generator is called a memorising one in at most `alpha` of all runs.
In fewer than about 16 dimensions the second is rough; flattened images and network features have more.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import LeakError, UnsuitableError, UsageError
from dopascope.score.bootstrap import LEVEL
from dopascope.score.confusion import exact_interval
from dopascope.score.generated.distances import distances
from dopascope.score.generated.result import Measured, Result
from dopascope.score.generated.sets import Array, feature_set, positive_count, same_features

ALPHA: Final = 0.05
NEIGHBOURS: Final = 10
"""Of an image, after the nearest: the mean of their distances is what the nearest is compared with."""
FALSE_ALARM: Final = 0.01
"""Share of images that are nobody's copy which the threshold of the copy score leaves above it, at most."""
LEAST_COPY: Final = 0.5
"""Whatever real images score: a copy is at most half as far from its original as from the next ones (Carlini 2023)."""
PERMUTATIONS: Final = 999
LEAST_TRAINING: Final = 12
LEAST_OTHERS: Final = 5
NEAREST_COUNTED: Final = 0.1
"""Of the median distance of held-out images to training ones: what is nearer counts as this, so that one perfect copy
does not outweigh all other images."""
SAME: Final = 1e-6
"""Of the same median: images that are nearer than this are one image."""


@dataclass(frozen=True)
class Memorisation(Result):
    """Verdict, the two tests behind it, and which images are copies of which."""

    verdict: str
    """`memorises`, or `not shown`."""
    p: float
    """Twice the smaller of the two p values."""
    alpha: float
    p_closer: float
    p_copies: float
    closeness: Measured
    """Geometric mean of nearest distance to training over that to held-out images, over its mean under exchange: 1 for
    an honest generator. The range is not of this value, but holds 95 % of the exchanges."""
    copied: Measured
    """Share of generated images whose copy score is above the threshold, with its exact interval."""
    threshold: float
    false_alarm: float
    """Chance that an image which is nobody's copy scores above the threshold, at most."""
    generated_to_training: float
    """Median nearest distance, as to a subset of the size of the held-out set."""
    generated_to_held_out: float
    held_out_to_training: float
    """Median nearest distance, as to a subset of the size of the held-out set."""
    originals: int
    """Different training images that are nearest to a copy."""
    copy_scores: tuple[float, ...]
    """(M,) from 0, nearest no nearer than the next ones, to 1, the very image."""
    nearest: tuple[int, ...]
    """(M,) row of the nearest training image."""
    copies: tuple[int, ...]
    """Rows of generated images above the threshold, highest score first."""
    n_training: int
    n_held_out: int
    n_generated: int
    features: int


def memorisation(
    training: ArrayLike,
    held_out: ArrayLike,
    generated: ArrayLike,
    *,
    training_people: Sequence[Hashable] | None = None,
    held_out_people: Sequence[Hashable] | None = None,
    alpha: float = ALPHA,
    permutations: int = PERMUTATIONS,
    seed: int = 1,
) -> Memorisation:
    """Whether generated images are nearer to training images than chance allows.

    Give features that were not fitted to the training images (flattened images, `features.random_projection`, a network
    that saw neither set): fitted ones are nearer to those by themselves. The held-out images must be drawn as the
    training images were; another camera's are farther from everything.

    Args:
        training: (N, D) features of all images that the generator learned from.
        held_out: (H, D) of images that it never saw.
        generated: (M, D).
        training_people: (N,) who each image is of; each a person of its own without it.
        held_out_people: (H,) likewise.
        alpha: false-alarm rate of the verdict.
        permutations: exchanges of the first test.
        seed: of the exchanges.

    Raises:
        UsageError: see `sets.feature_set`; people that do not pair with images; alpha not between 0 and 1; features of
            different kinds.
        UnsuitableError: see `sets.feature_set` (12 training, 5 held-out and 5 generated images, and 11 training images
            of others than of any one person); two training images are one.
        LeakError: a held-out image is a training image, or a person is in both sets.

    Source: the three sets: Meehan et al. 2020 (arXiv 2004.05675), on data copying; ratio to the next neighbours, and
    one half as its bound: Carlini et al. 2023 (arXiv 2301.13188), on CIFAR-10; chance of generated images above an
    order statistic of real ones: the law of exceedances, Gumbel and von Schelling 1950, Ann Math Stat 21:247.
    """
    known, unseen, made = _three_sets(training, held_out, generated, alpha)
    owners = _owners(training_people, held_out_people, len(known), len(unseen))
    to_known, to_unseen = distances(made, known), distances(made, unseen)
    among, between = distances(known, known), distances(unseen, known)
    unit = float(np.median(between.min(1)))
    _no_doubles(among, between, unit)
    positive_count(permutations, "permutations")
    closer = _closer(to_known, to_unseen, owners, NEAREST_COUNTED * unit, permutations, seed)
    own = owners[: len(known)]
    among[own[:, None] == own[None]] = np.inf
    copied = _copied(copy_scores(to_known), np.concatenate([copy_scores(one) for one in (between, among, to_unseen)]))
    p = min(1.0, 2 * min(closer.p, copied.p))
    nearest = to_known.argmin(1)
    return Memorisation(
        method=f"exchange of training and held-out people ({permutations} permutations) and copy scores over "
        f"{NEIGHBOURS} further neighbours against {copied.n} that are no copies, at {alpha / 2:g} each",
        verdict="memorises" if p <= alpha else "not shown",
        p=p,
        alpha=alpha,
        p_closer=closer.p,
        p_copies=copied.p,
        closeness=closer.ratio,
        copied=Measured(len(copied.rows) / len(made), *exact_interval(len(copied.rows), len(made))),
        threshold=copied.threshold,
        false_alarm=copied.false_alarm,
        generated_to_training=float(np.median(nearest_of_some(to_known, len(unseen)))),
        generated_to_held_out=float(np.median(to_unseen.min(1))),
        held_out_to_training=float(np.median(nearest_of_some(between, len(unseen)))),
        originals=len(set(nearest[copied.rows].tolist())),
        copy_scores=tuple(copied.scores.tolist()),
        nearest=tuple(nearest.tolist()),
        copies=tuple(copied.rows.tolist()),
        n_training=len(known),
        n_held_out=len(unseen),
        n_generated=len(made),
        features=known.shape[1],
    )


def copy_scores(to_training: Array) -> Array:
    """1 less the nearest distance over the mean of the next 10 (or all), for each row of distances (R, N): (R,).

    A training image with several near doubles (further scans of the person) lowers the score of its copies.
    """
    further = min(NEIGHBOURS, to_training.shape[1] - 1)
    near = np.sort(np.partition(to_training, further, axis=1)[:, : further + 1], axis=1)
    return np.asarray(1 - near[:, 0] / near[:, 1:].mean(1))


def nearest_of_some(to_training: Array, size: int) -> Array:
    """Mean distance (R,) to the nearest of `size` images drawn from the N of distances (R, N); all where N is no more.

    The i-th nearest of N is the nearest drawn with chance C(N - i, size - 1) / C(N, size), so nothing is drawn.
    """
    count = to_training.shape[1]
    size = min(size, count)
    chances = np.zeros(count)
    chances[0] = size / count
    for place in range(1, count - size + 1):
        chances[place] = chances[place - 1] * (count - place - size + 1) / (count - place)
    return np.asarray(np.sort(to_training, axis=1) @ chances)


@dataclass(frozen=True)
class _Closer:
    p: float
    ratio: Measured


def _closer(
    to_known: Array, to_unseen: Array, owners: NDArray[np.int_], least: float, permutations: int, seed: int
) -> _Closer:
    """The distance ratio as it is and with people exchanged between training and held-out set."""
    every = np.maximum(np.concatenate([to_known, to_unseen], axis=1), least)
    order = np.argsort(every, axis=1, kind="stable")
    sorted_logs = np.log(np.take_along_axis(every, order, axis=1))
    owner_at = owners[order]
    known = np.zeros(int(owners.max()) + 1, bool)
    known[owners[: to_known.shape[1]]] = True

    def log_ratio(is_known: NDArray[np.bool_]) -> float:
        label = is_known[owner_at]
        rows = np.arange(len(label))
        return float((sorted_logs[rows, label.argmax(1)] - sorted_logs[rows, (~label).argmax(1)]).mean())

    seen = log_ratio(known)
    rng = np.random.default_rng(seed)
    exchanged = np.array([log_ratio(rng.permutation(known)) for _ in range(permutations)])
    reached = int((exchanged <= seen + 1e-12).sum())
    low, high = np.quantile(exchanged, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    usual = exchanged.mean()
    ratio = Measured(*(float(np.exp(value - usual)) for value in (seen, low, high)))
    return _Closer((1 + reached) / (1 + permutations), ratio)


@dataclass(frozen=True)
class _Copied:
    scores: Array
    rows: NDArray[np.int_]
    """Above the threshold, highest score first."""
    threshold: float
    false_alarm: float
    p: float
    n: int


def _copied(scores: Array, no_copies: Array) -> _Copied:
    """Which scores are above what images that are nobody's copy reach, and p of so many."""
    from scipy.stats import betabinom

    n = len(no_copies)
    place = max(1, int(FALSE_ALARM * (n + 1)))
    threshold = max(LEAST_COPY, float(np.sort(no_copies)[n - place]))
    above = np.flatnonzero(scores > threshold)
    p = float(betabinom.sf(len(above) - 1, len(scores), place, n - place + 1))
    rows = above[np.argsort(-scores[above], kind="stable")]
    return _Copied(scores, rows, threshold, place / (n + 1), min(1.0, p), n)


def _three_sets(
    training: ArrayLike, held_out: ArrayLike, generated: ArrayLike, alpha: float
) -> tuple[Array, Array, Array]:
    known = feature_set(training, "training", least=LEAST_TRAINING)
    unseen = feature_set(held_out, "held_out", least=LEAST_OTHERS)
    made = feature_set(generated, "generated", least=LEAST_OTHERS)
    same_features(known, unseen, "training, held_out")
    same_features(known, made, "training, generated")
    if not 0 < alpha < 1:
        raise UsageError(
            "This is no false-alarm rate.", where="alpha", found=alpha, expected="between 0 and 1", fix="Leave it out."
        )
    return known, unseen, made


def _owners(
    training: Sequence[Hashable] | None, held_out: Sequence[Hashable] | None, n: int, h: int
) -> NDArray[np.int_]:
    """(n + h,) number of the person of each training and held-out image."""
    names: list[list[str]] = []
    for given, count, where in ((training, n, "training_people"), (held_out, h, "held_out_people")):
        own = [f"{where} {k}" for k in range(count)] if given is None else [f"person {one}" for one in given]
        if len(own) != count:
            raise UsageError(
                "People and images do not pair.",
                where=where,
                found=f"{len(own)} for {count} images",
                expected="one for each image",
                fix="Give the person of each image.",
            )
        names.append(own)
    both = sorted(set(names[0]) & set(names[1]))
    if both:
        raise LeakError(
            "People are in the training and the held-out set.",
            where="training_people, held_out_people",
            found=f"{len(both)}, the first is {both[0].removeprefix('person ')}",
            expected="nobody in both",
            fix="Hold whole people out.",
        )
    owners = np.unique(names[0] + names[1], return_inverse=True)[1]
    others = n - int(np.unique(owners[:n], return_counts=True)[1].max())
    if others < NEIGHBOURS + 1:
        raise UnsuitableError(
            "Too few training images are of other people.",
            where="training_people",
            found=f"{others} beside those of one person",
            expected=f"{NEIGHBOURS + 1} or more",
            fix="Give more people.",
        )
    return np.asarray(owners)


def _no_doubles(among: Array, between: Array, unit: float) -> None:
    least = SAME * unit
    doubles = np.argwhere(np.triu(among <= least, 1))
    leaks = np.argwhere(between <= least)
    if len(leaks):
        raise LeakError(
            "Held-out images are training images.",
            where="held_out",
            found=f"{len(leaks)} pairs, the first is row {leaks[0][0]} and training row {leaks[0][1]}",
            expected="images that the generator never saw",
            fix="Hold other people out; dopascope cohort lint-split finds such copies.",
        )
    if len(doubles):
        raise UnsuitableError(
            "Training images stand there twice.",
            where="training",
            found=f"{len(doubles)} pairs, the first are rows {doubles[0][0]} and {doubles[0][1]}",
            expected="each image once",
            fix="Leave one of each pair out, or use features that tell them apart.",
        )
