"""Language modelling: the next symbol of a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from evotune._contracts import Binding
from evotune._errors import DataError
from evotune.datasets import Corpus, Splits
from evotune.metrics import CLASSIFICATION, Metric
from evotune.models import Precision, Transformer
from evotune.tasks._generation import FittedLanguageModel, forward_causal
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._losses import check_smoothing, smoothed_cross_entropy
from evotune.tasks._metrics import Monitored
from evotune.tasks._objectives import Objective
from evotune.tasks._supervised import Supervised
from evotune.tasks._train_state import TrainState
from evotune.training import Regularize

_METRICS = (
    "loss",
    "perplexity",
    "accuracy",
    "top_2_accuracy",
    "top_3_accuracy",
    "top_5_accuracy",
    "expected_calibration_error",
)
_NOT_READ = ("pooling", "patch")


class LanguageModel(Supervised):
    """Trains a network to predict each symbol of a text from those before it.

    The text is cut in three parts, and these into windows of T symbols that do not
    overlap (`et.datasets.Corpus.split`). A network maps i32[B, T] to logits
    f32[B, T, V]; those at step t are of the symbol at t + 1 and must depend on steps up
    to t only. The loss is the mean cross-entropy over all steps, in nats; every metric
    counts every step of every window as one example. Logits of a whole split are held
    at once, 4 V bytes a symbol and member.

    Hyperparameters known by name are those of `Classification` without the
    augmentations, which change numbers, not symbols.

    Args:
        dataset: A text: `et.datasets.characters(...)`.
        model: `et.models.Transformer()`, the default, or `et.models.RNN()`, which
            embed symbols and look at no later step; or a function that returns a Flax
            module, as for `Classification`. ``info.vocab_size`` is V.
        metric: "perplexity", "loss", "accuracy", "top_5_accuracy" or an
            `et.metrics.Metric` of logits f32[N, V] and symbols i32[N]; of the
            validation split.
        objectives: As for `Classification`.
        constraints: As for `Classification`.
        monitor: As for `Classification`; "loss", "perplexity" and "accuracy" always
            are.
        train_metrics: As for `Classification`, of the first windows of the text.
        regularize: As for `Classification`.
        validation: Share of the text that the search is judged on.
        test: Share of the text, its end, that only the winner is tested on.
        precision: As for `Classification`.

    Raises:
        DataError: If the dataset is not a `Corpus`, or cannot be split.
        HyperparameterError: If there is no such metric, or the model takes no symbols.

    Reference:
        Bengio, Ducharme, Vincent, Jauvin (2003), A neural probabilistic language model.

    Example:
        >>> import evotune as et
        >>> corpus = et.datasets.characters("To be, or not to be. " * 50, length=16)
        >>> task = et.tasks.LanguageModel(corpus, model=et.models.RNN(width=16))
        >>> task.metric, task.direction
        ('val_perplexity', 'minimize')
    """

    metrics: ClassVar[Mapping[str, Metric]] = {
        name: CLASSIFICATION[name] for name in _METRICS
    }
    always: ClassVar[tuple[str, ...] | None] = ("loss", "perplexity", "accuracy")
    each_step: ClassVar[bool] = True
    bindings: ClassVar[Mapping[str, Binding]] = {
        **Supervised.bindings,
        "label_smoothing": Binding.TRACED,
    }
    dataset: Corpus

    def __init__(
        self,
        dataset: Corpus,
        *,
        model: Any = None,
        metric: str | Metric = "perplexity",
        objectives: Iterable[Objective] = (),
        constraints: Mapping[str, float] | None = None,
        monitor: Iterable[Monitored] = (),
        train_metrics: bool | int = False,
        regularize: Regularize = "kernels",
        validation: float = 0.1,
        test: float = 0.1,
        precision: Precision = "float32",
    ):
        """See the class."""
        if not isinstance(dataset, Corpus):
            raise DataError(
                "LanguageModel needs a text, but got "
                f"{type(dataset).__name__}. Make one: "
                "`et.datasets.characters(Path('book.txt'))`."
            )
        super().__init__(
            dataset,
            model=Transformer() if model is None else model,
            metric=metric,
            objectives=objectives,
            constraints=constraints,
            monitor=monitor,
            train_metrics=train_metrics,
            regularize=regularize,
            validation=validation,
            test=test,
            split_seed=0,
            standardize=False,
            precision=precision,
            num_outputs=len(dataset.vocabulary),
        )

    def _split(self, *, validation: float, test: float, seed: int) -> Splits:
        return self.dataset.split(validation=validation, test=test)

    def loss(
        self,
        hp: Hyperparameters,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> jax.Array:
        """Mean cross-entropy over all steps, in nats: smoothed where asked."""
        del sample_weight  # no corpus has one
        return jnp.mean(smoothed_cross_entropy(hp, outputs, targets))

    def measure(
        self,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> dict[str, jax.Array]:
        """All recorded metrics, each step of each window an example."""
        return super().measure(
            outputs.reshape(-1, outputs.shape[-1]), targets.reshape(-1)
        )

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Task.check`."""
        return [
            *super().check(values),
            *check_smoothing(values),
            *(
                f"{name} is not read by a language model, which has outputs at every "
                f"symbol. Leave `{name}` out of the space."
                for name in _NOT_READ
                if name in values and name in self.model.bindings
            ),
        ]

    def export(self, hp: Mapping[str, Any], state: TrainState) -> FittedLanguageModel:
        """The network of its true size, with ``predict`` and ``generate``."""
        module, variables, forward = self._exported(hp, state)
        return FittedLanguageModel(
            module=module,
            variables=variables,
            predict=lambda codes: forward_causal(forward, codes, self.dataset),
            forward=forward,
            corpus=self.dataset,
        )

    def _what_outputs_are(self) -> str:
        return f"there are symbols in {self.dataset.name!r}, at every step"
