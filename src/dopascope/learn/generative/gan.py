"""Family `gan`: a conditional generative adversarial network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dopascope.learn.generative.model import Batch, How, Model, Noise, Turn
from dopascope.learn.generative.plan import Plan, family
from dopascope.nets.generative.adversarial import Artist, Critic


class AdversarialGenerator(Model):
    """Hinge loss (Lim and Ye 2017, arXiv:1705.02894) and a critic under spectral norm; one step of each a batch.

    Short trainings on few images end with one image a class; `less_varied` keeps them from it.
    """

    invertible = False
    betas = (0.0, 0.99)
    only_learning = ("critic.",)

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        asked = (len(plan.classes), len(plan.conditions))
        halvings = plan.number("halvings")
        self.artist = Artist(
            plan.shape, *asked, width=plan.number("width"), halvings=halvings, latent=plan.number("latent")
        )
        self.critic = Critic(plan.shape, *asked, width=plan.number("critic_width"), halvings=max(1, halvings - 1))

    def turns(self, stage: int) -> Sequence[Turn]:
        """The critic, then the artist."""
        del stage
        return [Turn(self.critic, self.critic_losses), Turn(self.artist, self.artist_losses)]

    def critic_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Hinge loss of real and drawn images, and the R1 penalty (Mescheder et al. 2018, arXiv:1801.04406, eq. 9)."""
        condition = self.forgetful(batch)
        with torch.no_grad():
            drawn = self._drawn(batch, condition)
        penalty = self.plan.amount("penalty")
        images = batch.images.detach().requires_grad_(bool(penalty))
        real = self.critic(images, condition)
        loss = functional.relu(1 - real).mean() + functional.relu(1 + self.critic(drawn, condition)).mean()
        if penalty:
            (slope,) = torch.autograd.grad(real.mean((1, *range(2, real.ndim))).sum(), images, create_graph=True)
            loss = loss + penalty / 2 * slope.square().flatten(1).sum(1).mean()
        return {"critic": loss, "critic_real": real.detach().mean()}

    def artist_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """What the critic says against drawn images, and how much less varied than real ones they are."""
        condition = self.forgetful(batch)
        drawn = self._drawn(batch, condition)
        alike = less_varied(drawn, batch.images, batch.condition[:, 0])
        against = -self.critic(drawn, condition).mean()
        return {"artist": against + self.plan.amount("variety") * alike, "less_varied": alike.detach()}

    def draw(self, condition: Tensor, noise: Noise, how: How) -> Tensor:
        """One image for each random vector."""
        del how
        images: Tensor = self.artist(noise((self.plan.number("latent"),)), condition)
        return images

    def _drawn(self, batch: Batch, condition: Tensor) -> Tensor:
        images: Tensor = self.artist(batch.normal((len(condition), self.plan.number("latent"))), condition)
        return images


def less_varied(drawn: Tensor, real: Tensor, classes: Tensor) -> Tensor:
    """By what share drawn images of a class lie nearer to each other than real ones; 0 where they do not.

    Mode seeking (Mao et al. 2019, arXiv:1903.05628, equation 3), but only as far as real images go: pairs of one class
    within a batch, by mean absolute difference, against the same pairs of the real images.

    Args:
        drawn: (B, C, ...), image n for the condition of real image n.
        real: (B, C, ...).
        classes: (B,).
    """
    order = classes.argsort(stable=True)
    pairs = classes[order[1:]] == classes[order[:-1]]
    one, other = order[1:][pairs], order[:-1][pairs]
    if not len(one):
        return drawn.new_zeros(())
    far = (real[one] - real[other]).abs().mean().clamp_min(1e-6)
    return functional.relu(1 - (drawn[one] - drawn[other]).abs().mean() / far)


@family(
    "gan",
    axes=(2,),
    description="conditional generative adversarial network",
    settings={
        "width": 32,
        "critic_width": 32,
        "halvings": 3,
        "latent": 64,
        "penalty": 0.0,
        "drop": 0.1,
        "variety": 0.1,
    },
)
def build(plan: Plan) -> Model:
    """A conditional generative adversarial network."""
    return AdversarialGenerator(plan)
