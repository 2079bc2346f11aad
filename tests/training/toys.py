"""Three families in miniature, to hold the loop to its contract: a 2-D GAN with R1, a VAE with a
warm-up, PPO on a bandit."""

import torch
import torch.nn.functional as F
from torch import nn

from genwright.core.contracts import Loss, Mean, Objective, Source, Turn
from genwright.core.draws import Draws
from genwright.training.settings import Optimizer, Schedule, Training

ADAM = Optimizer(kind="adamw", learning_rate=0.01)


class Points:
    """A stream of 2-D points on a ring of four modes."""

    units, unit = 1, "points"

    def __init__(self, size=12, seed=0):
        self.size, self.seed = size, seed

    def batch(self, position, examples, policy=None):
        draws = Draws(self.seed, position, examples)
        angle = draws.integers("mode", 4).double() * torch.pi / 2
        return {
            "points": torch.stack([angle.cos(), angle.sin()], 1).float()
            + 0.05 * draws.normal("noise", 2)
        }

    def sources(self, position, examples):
        return [Source(f"points {position}") for _ in examples]


def mlp(a, b, c):
    return nn.Sequential(nn.Linear(a, b), nn.Tanh(), nn.Linear(b, b), nn.Tanh(), nn.Linear(b, c))


class GAN(Objective):
    """Non-saturating loss, R1 on real points, two examples packed; the generator is averaged."""

    draws, unit, double_backward = 2, 2, True

    def __init__(self):
        self.modules = {"generator": mlp(2, 16, 2), "discriminator": mlp(4, 16, 1)}

    def prepare(self, batch, draws, ranks):
        return batch | {"latent": draws.normal("latent", 2)}

    def turns(self, step):
        yield Turn(("discriminator",), self.discriminate, draw=0)
        yield Turn(("generator",), self.generate, draw=1)

    def score(self, x):
        return self.modules["discriminator"](x.reshape(-1, 4))[:, 0].repeat_interleave(2)

    def discriminate(self, batch):
        real = batch["points"].requires_grad_(True)
        fake = self.modules["generator"](batch["latent"]).detach()
        s_real, s_fake = self.score(real), self.score(fake)
        (slope,) = torch.autograd.grad(s_real.sum(), real, create_graph=True)
        total = F.softplus(-s_real) + F.softplus(s_fake) + 0.1 * slope.square().sum(1)
        count = torch.ones_like(total)
        return Loss(total, count, {"discriminator_loss": (total.sum(), count.sum())})

    def generate(self, batch):
        total = F.softplus(-self.score(self.modules["generator"](batch["latent"])))
        count = torch.ones_like(total)
        return Loss(total, count, {"loss": (total.sum(), count.sum())})

    def after_step(self, metrics, sums):
        pass


class VAE(Objective):
    """Gaussian decoder; the weight of the KL rises over 10 steps, which a resumed run must know.
    One buffer follows the loss."""

    draws, unit, double_backward = 1, 1, False

    def __init__(self):
        self.modules = {"encoder": mlp(2, 16, 4), "decoder": mlp(2, 16, 2)}
        self.modules["decoder"].register_buffer("running", torch.zeros(()))

    def prepare(self, batch, draws, ranks):
        return batch | {"noise": draws.normal("noise", 2)}

    def turns(self, step):
        weight = min(1.0, (step + 1) / 10)
        yield Turn(("encoder", "decoder"), lambda batch: self.loss(batch, weight))

    def loss(self, batch, weight):
        mean, log_scale = self.modules["encoder"](batch["points"]).chunk(2, 1)
        out = self.modules["decoder"](mean + log_scale.exp() * batch["noise"])
        kl = (0.5 * (mean**2 + (2 * log_scale).exp() - 1) - log_scale).sum(1)
        total = 5 * (out - batch["points"]).square().sum(1) + weight * kl
        count = torch.ones_like(total)
        return Loss(
            total, count, {"loss": (total.sum(), count.sum()), "kl": (kl.sum(), count.sum())}
        )

    def after_step(self, metrics, sums):
        self.modules["decoder"].running.lerp_(torch.tensor(metrics["loss"]), 0.1)


class Bandit:
    """Samples the policy: contexts are drawn, arms are drawn from the policy as it is."""

    units, unit = 1, "pulls"

    def __init__(self, size=12, seed=0):
        self.size, self.seed = size, seed

    def batch(self, position, examples, policy=None):
        draws = Draws(self.seed, position, examples)
        context = draws.normal("context", 3)
        with torch.no_grad():
            log_p = policy.modules["policy"](context).log_softmax(1)
        arm = (log_p + -(-draws.uniform("arm", 3).clamp(1e-7).log()).log()).argmax(1)
        return {
            "context": context,
            "arm": arm,
            "old": log_p.gather(1, arm[:, None])[:, 0],
            "reward": (arm == context.argmax(1)).float(),
        }

    def sources(self, position, examples):
        return [Source(f"pulls {position}") for _ in examples]


class PPO(Objective):
    """Clipped policy gradient, advantages whitened over the whole batch, two passes over two parts
    of it."""

    draws, unit, double_backward = 1, 1, False

    def __init__(self, size=12):
        self.modules, self.size = {"policy": mlp(3, 16, 3)}, size

    def prepare(self, batch, draws, ranks):
        r = batch["reward"]
        n, total, square = ranks.sum(
            torch.stack([torch.tensor(float(len(r))), r.sum(), r.square().sum()])
        ).tolist()
        mean = total / n
        return batch | {"advantage": (r - mean) / (max(square / n - mean**2, 0) ** 0.5 + 1e-3)}

    def turns(self, step):
        half = self.size // 2
        for _ in range(2):
            yield Turn(("policy",), self.loss, part=slice(0, half))
            yield Turn(("policy",), self.loss, part=slice(half, None))

    def loss(self, batch):
        new = (
            self.modules["policy"](batch["context"])
            .log_softmax(1)
            .gather(1, batch["arm"][:, None])[:, 0]
        )
        ratio = (new - batch["old"]).exp()
        total = -torch.minimum(
            ratio * batch["advantage"], ratio.clamp(0.8, 1.2) * batch["advantage"]
        )
        count = torch.ones_like(total)
        return Loss(
            total,
            count,
            {"loss": (total.sum(), count.sum()), "reward": (batch["reward"].sum(), count.sum())},
        )

    def after_step(self, metrics, sums):
        pass


class Distillation(Objective):
    """A student learns a frozen reference's outputs. Its first layer is frozen; a critic joins in
    from the third step."""

    trained = ("student", "critic")

    def __init__(self, seed=0, affine=True):
        torch.manual_seed(seed)
        student = mlp(2, 16, 2)
        student[0].requires_grad_(False)
        student.register_buffer("codebook", torch.randn(3, 2))
        student.register_buffer("idle", torch.zeros(3, dtype=torch.int64))
        reference = nn.Sequential(
            nn.Linear(2, 8), nn.BatchNorm1d(8, affine=affine), nn.Dropout(0.5)
        )
        self.modules = {
            "student": student,
            "reference": nn.Sequential(reference, nn.Linear(8, 2)),
            "critic": mlp(2, 16, 1),
        }

    def prepare(self, batch, draws, ranks):
        return batch

    def turns(self, step):
        yield Turn(("student",), self.follow)
        if step >= 2:
            yield Turn(("critic",), self.judge)

    def follow(self, batch):
        with torch.no_grad():
            wanted = self.modules["reference"](batch["points"])
        out = self.modules["student"](batch["points"])
        return self._loss("loss", (out - wanted).float().square().sum(1))

    def judge(self, batch):
        out = self.modules["critic"](batch["points"])
        return self._loss("critic_loss", (out[:, 0] - 1).float().square())

    def _loss(self, name, total):
        count = torch.ones_like(total)
        return Loss(total, count, {name: (total.detach().sum(), count.sum())})

    def after_step(self, metrics, sums):
        self.modules["student"].codebook.mul_(0.9)
        self.modules["student"].idle.add_(1)


def log_chances(network, batch):
    """(examples,) log-probability of the arm that was pulled."""
    return network(batch["context"]).log_softmax(1).gather(1, batch["arm"][:, None])[:, 0]


class Regularised(Objective):
    """A policy near a frozen reference: the reward less the distance from it, whitened over the
    whole batch, times the probability ratio; two epochs."""

    trained = ("policy",)

    def __init__(self):
        torch.manual_seed(1)
        self.modules = {"policy": mlp(3, 16, 3), "reference": mlp(3, 16, 3)}
        self.sizes = []  # of what was observed

    def prepare(self, batch, draws, ranks):
        assert "reference" not in batch
        return {name: batch[name] for name in ("context", "arm", "reward")}

    def observe(self, micro):
        assert not torch.is_grad_enabled()
        self.sizes.append(len(micro["arm"]))
        return {
            "old": log_chances(self.modules["policy"], micro),
            "reference": log_chances(self.modules["reference"], micro),
        }

    def settle(self, batch, draws, ranks):
        reward = batch["reward"] - 0.1 * (batch["old"] - batch["reference"])
        sums = torch.stack([torch.tensor(float(len(reward))), reward.sum(), reward.square().sum()])
        n, total, square = ranks.sum(sums).tolist()
        mean = total / n
        deviation = max(square / n - mean**2, 0) ** 0.5 + 1e-3
        return batch | {"advantage": (reward - mean) / deviation}

    def turns(self, step):
        for _ in range(2):
            yield Turn(("policy",), self.loss)

    def loss(self, batch):
        ratio = (log_chances(self.modules["policy"], batch) - batch["old"]).exp()
        total = -ratio * batch["advantage"]
        count = torch.ones_like(total)
        return Loss(total, count, {"loss": Mean(total.detach(), count)})


class WeighedBandit(Bandit):
    """Some pulls count half, or twice; others are left out, most of them of every second pull."""

    def batch(self, position, examples, policy=None):
        choice = Draws(self.seed, position, examples).integers("weight", 4)
        choice = choice * ((examples % 2 == 0) | (choice == 1))
        weight = torch.tensor([0.0, 0.5, 1.0, 2.0])[choice]
        return super().batch(position, examples, policy) | {"weight": weight}


def make(name, seed=0, size=12, **training):
    """(objective, stream, settings) of a toy, seeded."""
    torch.manual_seed(seed)
    made = {
        "gan": GAN,
        "vae": VAE,
        "ppo": PPO,
        "distillation": Distillation,
        "weighed": Regularised,
    }
    objective = made[name]()
    stream = {"ppo": Bandit, "weighed": WeighedBandit}.get(name, Points)(size)
    usual = {"steps": 40, "ema": 0.9, "clip": 5.0, "precision": "fp32", "optimizer": ADAM}
    settings = Training(
        batch_size=size,
        schedule=Schedule(kind="cosine", warmup=3),
        **usual | training,
    )
    return objective, stream, settings
