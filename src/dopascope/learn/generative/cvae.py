"""Family `cvae`: a conditional variational autoencoder (S1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from dopascope.learn.generative.model import Batch, How, Model, Noise, Turn
from dopascope.learn.generative.plan import Plan, family
from dopascope.nets.generative.cvae import Cvae

LEAST_ERROR = 1e-6
"""Mean squared error, in squared spreads of the images, below which no loss goes on falling."""


class VariationalGenerator(Model):
    """Evidence lower bound with a warm-up of its KL term; images are the decoder's means, which are smooth."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.net = Cvae(
            plan.shape,
            len(plan.classes),
            len(plan.conditions),
            width=plan.number("width"),
            halvings=plan.number("halvings"),
            latent=plan.number("latent"),
        )

    def turns(self, stage: int) -> Sequence[Turn]:
        """All weights at once."""
        del stage
        return [Turn(self.net, self.losses)]

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """The negative bound of an image, over the number of its voxels.

        The decoder's variance is the one that is most likely given its errors (optimal sigma-VAE: Rybkin, Daniilidis
        and Levine 2021, arXiv:2006.13202), so that beta 1 is the bound itself and needs no tuning. The KL term comes
        in linearly over the first `warm_up` of the training (Bowman et al. 2016, arXiv:1511.06349, section 3.1).
        """
        condition = self.forgetful(batch)
        mean, log_variance = self.net.encode(batch.images, condition)
        code = mean + batch.normal(mean.shape) * (log_variance / 2).exp()
        error = (self.net.decode(code, condition).float() - batch.images).square().mean()
        reconstruction = error.clamp_min(LEAST_ERROR).log() / 2
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).float().sum(1).mean() / 2
        warm_up = self.plan.amount("warm_up")
        weight = self.plan.amount("beta") * (min(1.0, batch.share / warm_up) if warm_up else 1.0)
        total = reconstruction + weight * divergence / batch.images[0].numel()
        return {"bound": total, "squared_error": error, "kl_nats": divergence}

    def draw(self, condition: Tensor, noise: Noise, how: How) -> Tensor:
        """Decodings of codes from the prior."""
        del how
        return self.net.decode(noise((self.plan.number("latent"),)), condition)

    def encode(self, images: Tensor, condition: Tensor, steps: int) -> Tensor:
        """The means of the codes."""
        del steps
        return self.net.encode(images, condition)[0]

    def decode(self, code: Tensor, condition: Tensor, steps: int) -> Tensor:
        """The decoder's means."""
        del steps
        return self.net.decode(code, condition)


@family(
    "cvae",
    axes=(2, 3),
    description="conditional variational autoencoder",
    settings={"width": 32, "halvings": 3, "latent": 64, "beta": 1.0, "warm_up": 0.25, "drop": 0.1},
)
def build(plan: Plan) -> Model:
    """A conditional variational autoencoder."""
    return VariationalGenerator(plan)
