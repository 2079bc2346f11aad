"""Everything a person can set about training, with its default."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from genwright.core.registry import Settings

Share = Annotated[float, Field(ge=0, lt=1)]
Fall = Annotated[float, Field(ge=0, le=1)]
Rise = Annotated[float, Field(ge=0, le=1000)]
Portion = Annotated[float, Field(ge=0, le=1)]


class Optimizer(Settings):
    """Muon or AdamW and their settings; rates are peaks, which the schedule multiplies."""

    warmups: ClassVar = ("momentum_warmup",)
    kind: Literal["muon", "adamw"] = "muon"
    """`muon`: Muon for hidden matrices, AdamW for the rest; `adamw`: AdamW for all."""
    matrix_rate: float = Field(0.02, gt=0, le=1)
    """Muon's learning rate: the size of an update relative to an orthogonal matrix's, scaled by
    sqrt(max(1, rows / columns))."""
    learning_rate: float | None = Field(None, gt=0, le=1)
    """AdamW's peak learning rate. Default: by the model's width."""
    embedding_rate: float = Field(1.0, gt=0)
    """Factor on the AdamW rate for embeddings (under `muon`)."""
    head_rate: float = Field(1.0, gt=0)
    """Factor on the AdamW rate for the output layer (under `muon`)."""
    scalar_rate: float = Field(1.0, gt=0)
    """Factor on the AdamW rate for gains, biases and other vectors (under `muon`)."""
    betas: tuple[Share, Share] = (0.9, 0.95)
    """AdamW's decay rates of the first and second moment."""
    eps: float = Field(1e-10, gt=0)
    """AdamW's denominator offset."""
    momentum: float = Field(0.95, ge=0, lt=1)
    """Muon's momentum (Nesterov)."""
    momentum_warmup: float = Field(0.0, ge=0)
    """Over which part of the run Muon's momentum rises from 0.85: below 1 a share, from 1 steps."""
    newton_schulz: int = Field(5, ge=1, le=20)
    """Newton-Schulz iterations that orthogonalise an update."""
    weight_decay: float = Field(0.0, ge=0, le=10)
    """Decoupled weight decay on matrices and embeddings, times the learning rate; vectors are never
    decayed."""


class Schedule(Settings):
    """The factor in [0, 1] on all learning rates, as a function of the step alone."""

    warmups: ClassVar = ("warmup",)
    kind: Literal["wsd", "cosine", "constant"] = "wsd"
    """`wsd`: warm-up, stable, linear decay; `cosine`: warm-up, then half a cosine; `constant`:
    after the warm-up."""
    warmup: float = Field(0.0, ge=0)
    """Linear warm-up: below 1 a share of all steps, from 1 steps. It is shortened where it would
    reach into the decay."""
    decay: float = Field(0.4, ge=0, le=1)
    """Share of all steps, at the end, over which `wsd` decays."""
    final: float = Field(0.0, ge=0, le=1)
    """Where the learning rate ends, as a share of the peak: `cosine` at the last step, `wsd` one
    step later."""


class Guard(Settings):
    """What happens when losses or gradients are not finite: skip, roll back, then stop."""

    skips: int = Field(5, ge=1)
    """Non-finite steps in a row before the run rolls back to its last scheduled checkpoint."""
    rollbacks: int = Field(2, ge=0)
    """How often a run may roll back before it stops."""


class Bands(Settings):
    """How far figures of a policy may go while its reward rises, until that is called gaming. A
    share is of what the figure was at first; chance (4 standard errors) widens all but the loss."""

    first_step: int = Field(8, ge=4)
    """Step that is judged first; before it, too little is known of what varies by chance."""
    distinct_4: tuple[Fall, Rise] = (0.4, 0.5)
    """Different 4-grams among the candidates of a question: shares that they may fall and rise
    by."""
    entropy: tuple[Fall, Rise] = (0.5, 0.5)
    """Nats a token: shares that it may fall and rise by."""
    length: tuple[Fall, Rise] = (0.4, 0.6)
    """Tokens a sample: shares that it may fall and rise by."""
    surprise: Rise = 0.2
    """What a token costs the model of before (entropy + kl, in nats): share that it may rise by."""
    held_out_loss: Rise = 0.75
    """Nats a token of real held-out data: share that it may rise by. It is measured every
    training.evaluate_every steps."""
    measures: Rise = 1.0
    """Watched measures: standard deviations of real samples that they may lie beyond real data, and
    beyond what they were."""


class Watching(Settings):
    """What is looked for while a run trains, and what an alarm does."""

    samples: int = Field(500, ge=0, le=100_000)
    """Samples that are drawn and measured at each held-out evaluation; 0: none."""
    on_alarm: Literal["warn", "rollback", "stop"] = "warn"
    """`rollback`: back to the last checkpoint and past the data since (training.guard.rollbacks
    times); `stop`: save and stop."""
    on_gaming: Literal["stop", "warn"] = "stop"
    """A policy games its reward: `stop`: save and stop, with the last good checkpoint as the run's
    result; `warn`: say so and go on."""
    groups: dict[str, dict[str, tuple[Portion, Portion]]] = {}
    """What gives groups of samples (a label of the data, a measure that gives labels, a file of
    word,group lines) -> group -> the band of its share, from and to. The shares are recorded at
    each held-out evaluation; an alarm rings where one is out of its band. {}: of all its groups,
    none with a band."""
    may_change: tuple[str, ...] = ()
    """Figures that a policy may change as much as it likes, such as length or a measure: that is no
    gaming."""
    bands: Bands = Bands()
    """How far the others may go."""
    logged: int = Field(4, ge=0)
    """Samples of a rollout that are written into rollouts.jsonl; of later steps, fewer steps."""
    coverage: float = Field(0.5, ge=0, le=1)
    """Mode collapse: coverage below this share of its best. 0: never."""
    wins: float = Field(0.98, ge=0.5, le=1)
    """The discriminator has won: it ranks more than this share of pairs right, and samples do not
    get better. 1: never."""
    used: float = Field(0.25, ge=0, le=1)
    """Dead codebook: less than this share of codes is used. 0: never."""
    memorised: float = Field(0.3, ge=0, le=1)
    """Memorising: this share of samples more than of held-out examples lies too near to a training
    example. 1: never."""

    @field_validator("groups")
    @classmethod
    def _rising(
        cls, groups: dict[str, dict[str, tuple[float, float]]]
    ) -> dict[str, dict[str, tuple[float, float]]]:
        for name, bands in groups.items():
            for group, (low, high) in bands.items():
                if low > high:
                    raise ValueError(f"the band of {group} ({name}) goes from {low:g} to {high:g}")
        return groups


class Training(Settings):
    """How a run is trained: sizes, optimisation, precision, schedule of evaluations and
    checkpoints."""

    steps: int = Field(1000, ge=1)
    """Updates of the weights."""
    minutes: float | None = Field(None, gt=0)
    """How long training may take, evaluations and checkpoints included, data aside. When a run
    starts a few steps are timed; it has as many as fit, `steps` at most, and 5 at least. Default:
    all of them."""
    batch_size: int | None = Field(None, ge=1)
    """Examples a step, over all ranks and micro-batches. Default: by the model's depth."""
    micro_batch: int | None = Field(None, ge=1)
    """Examples a rank computes at once; what does not fit is accumulated, exactly. Default: all of
    the rank's share."""
    optimizer: Optimizer = Optimizer()
    """How weights are updated."""
    optimizers: dict[str, Optimizer] = {}
    """Settings of single modules, by name, where they differ (a discriminator's rate)."""
    schedule: Schedule = Schedule()
    """How the learning rate moves."""
    clip: float | None = Field(None, gt=0)
    """Largest norm of the whole gradient of a turn. Default: no clipping."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of the running average of the weights; it warms up as min(ema, (1 + step) / (10 +
    step)). Default: none."""
    ema_of: tuple[str, ...] = ()
    """Modules that are averaged. Default: all that are trained."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`bf16` computes in bfloat16 from fp32 weights; `auto` takes it where a measurement on this
    machine shows it faster."""
    compile: bool = False
    """Compile the modules; without a C++ compiler the run goes on eagerly and says so."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """With several processes: `ddp` keeps all weights on each, `fsdp` (FSDP2) shares them out."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    threads: int | None = Field(None, ge=1)
    """CPU threads a process uses. Default: $OMP_NUM_THREADS, else all cores, shared among the
    processes. Few, where others are busy."""
    evaluate_every: int = Field(100, ge=0)
    """Steps between held-out evaluations; 0: only at the end."""
    checkpoint_every: int = Field(250, ge=0)
    """Steps between checkpoints; 0: only at the end."""
    keep: int = Field(2, ge=1)
    """Newest scheduled checkpoints that are kept, beside the best."""
    guard: Guard = Guard()
    """What happens when a loss or a gradient is not finite."""
    sinks: tuple[Literal["tensorboard"], ...] = ()
    """Where metrics.jsonl is mirrored."""
