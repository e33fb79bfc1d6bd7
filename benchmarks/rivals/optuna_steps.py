"""Rival: an Optuna study around a jitted Flax step, in its best form and usual ones.

Command:   python -m benchmarks.rivals.optuna_steps --width 64
           python -m benchmarks.rivals.optuna_steps --option form '"usual"'
Hardware:  CPU.
Time:      best form about 20 s on two cores, the others minutes; ``--tiny`` takes 5 s.
Result:    one line of JSON with seconds, trainings a second and accuracies.

All forms: random sampler, storage in memory, nothing pruned, the learning rate an
argument, so that one compilation serves all trials.

``best`` never waits for a step: the data, their order and the step counter live on the
device, the batch is gathered inside the jitted step, the state is donated, accuracies
are fetched once, at the end of a trial. ``at_once=2`` runs two trials at the same time
(``n_jobs``), each on a device of its own (``--devices 2 --option at_once 2``).

``usual`` is what most training loops do: NumPy batches are cut outside the jitted step,
and the loss of every step is read. ``eager`` is the loop of Flax's own examples: device
arrays are indexed outside the jitted step, losses are read once an epoch. Both compile
once, which is more than most such loops do: an optimiser made anew for each trial, as
those examples have it, compiles anew for each trial.
"""

from __future__ import annotations

import dataclasses
import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optuna

from benchmarks._harness import Data, compiler_options, data_orders
from benchmarks._sides import RivalResult, side_main, timed_again
from benchmarks.rivals._modules import Network, make_network
from benchmarks.rivals._network import accuracy_of, adam_step, loss_of, member_key

Form = Literal["best", "usual", "eager"]


class ListedSampler(optuna.samplers.RandomSampler):
    """Draws as `RandomSampler` does, then gives the value that all rivals share."""

    def __init__(self, values: np.ndarray, seed: int) -> None:
        super().__init__(seed=seed)
        self._values = values

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> Any:
        """The listed value of this trial, at the price of a random one."""
        super().sample_independent(study, trial, param_name, param_distribution)
        return float(self._values[trial.number])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Programs:
    """The jitted functions; ``state`` is (variables, moments, rate, step number)."""

    init: Callable[..., Any]
    step: Callable[..., Any]
    loss_and_step: Callable[..., Any]
    evaluate: Callable[..., Any]


def make_programs(model: Network, seed: int) -> Programs:
    """Jitted anew, so that nothing is left from an earlier run in this process."""

    def init(rate: jax.Array, trial: jax.Array, x: jax.Array) -> Any:
        variables = model.init(member_key(seed, trial), x[:1])
        moments = optax.adam(rate).init(variables)
        return variables, moments, rate, jnp.zeros((), jnp.int32)

    def step(state: Any, orders: jax.Array, x: jax.Array, y: jax.Array) -> Any:
        variables, moments, rate, count = state
        rows = orders[count]
        variables, moments = adam_step(
            model, rate, variables, moments, x[rows], y[rows]
        )
        return variables, moments, rate, count + 1

    def loss_and_step(state: Any, x: jax.Array, y: jax.Array) -> Any:
        variables, moments, rate, count = state
        loss, gradients = jax.value_and_grad(lambda given: loss_of(model, given, x, y))(
            variables
        )
        updates, moments = optax.adam(rate).update(gradients, moments, variables)
        variables = optax.apply_updates(variables, updates)
        return (variables, moments, rate, count + 1), loss

    def evaluate(state: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return accuracy_of(model, state[0], x, y)

    options = compiler_options()
    return Programs(
        init=jax.jit(init, compiler_options=options),
        step=jax.jit(step, donate_argnums=0, compiler_options=options),
        loss_and_step=jax.jit(
            loss_and_step, donate_argnums=0, compiler_options=options
        ),
        evaluate=jax.jit(evaluate, compiler_options=options),
    )


class Trainer:
    """Trains on one device, in one of the three forms."""

    def __init__(
        self,
        programs: Programs,
        data: Data,
        orders: np.ndarray,
        device: jax.Device,
        form: Form,
    ) -> None:
        self.form = form
        self.device = device
        self.programs = programs
        self.orders = orders
        self.host = (data.x_train, data.y_train)
        self.x, self.y, self.x_valid, self.y_valid, self.flat = jax.device_put(
            (
                data.x_train,
                data.y_train,
                data.x_valid,
                data.y_valid,
                orders.reshape(-1, orders.shape[-1]),
            ),
            device,
        )

    def compile(self) -> None:
        """Calls every program of this form once."""
        with jax.default_device(self.device):
            state = self.init(0.001, 0)
            self.programs.evaluate(state, self.x_valid, self.y_valid)
            if self.form == "best":
                state = self.programs.step(state, self.flat, self.x, self.y)
            else:
                x, y = self.batch(self.orders[0, 0])
                state, _ = self.programs.loss_and_step(state, x, y)
            jax.block_until_ready(state)

    def init(self, rate: float, trial: int) -> Any:
        """The state of a trial before its first step."""
        # Put there by name: a state that merely happens to be on the device counts as
        # another kind of argument, and every program would compile twice.
        scalars = jax.device_put((np.float32(rate), np.int32(trial)), self.device)
        return self.programs.init(*scalars, self.x)

    def batch(self, rows: np.ndarray) -> tuple[Any, Any]:
        """A batch cut outside the jitted step."""
        x, y = self.host if self.form == "usual" else (self.x, self.y)
        return x[rows], y[rows]

    def train(self, rate: float, trial: int) -> np.ndarray:
        """Validation accuracy after every epoch: f32[epochs]."""
        with jax.default_device(self.device):
            programs = self.programs
            state = self.init(rate, trial)
            scores = []
            for order in self.orders:
                if self.form == "best":
                    step, arrays = programs.step, (self.flat, self.x, self.y)
                    for _ in order:
                        state = step(state, *arrays)
                else:
                    state = self._usual_epoch(state, order)
                scores.append(programs.evaluate(state, self.x_valid, self.y_valid))
                if self.form != "best":
                    scores[-1] = float(scores[-1])
            return np.asarray(jax.device_get(scores), np.float32)

    def _usual_epoch(self, state: Any, order: np.ndarray) -> Any:
        losses = []
        for rows in order:
            state, loss = self.programs.loss_and_step(state, *self.batch(rows))
            losses.append(float(loss) if self.form == "usual" else loss)
        np.mean(jax.device_get(losses))  # what such loops print
        return state


def run(
    data: Data,
    learning_rates: np.ndarray,
    *,
    width: int,
    epochs: int,
    batch_size: int,
    seed: int,
    network: str = "mlp",
    form: Form = "best",
    at_once: int = 1,
    again: int = 0,
) -> RivalResult:
    """Runs a study of as many trials as there are learning rates.

    Args:
        data: What all trials train on.
        learning_rates: f32[L], one trial each.
        width: Units of each hidden layer.
        epochs: Epochs of each trial.
        batch_size: Rows of a batch.
        seed: Of initial values and of the data order.
        network: Which one, see `make_network`.
        form: Of the training loop: "best", "usual" or "eager".
        at_once: Trials at the same time, each on its own device.
        again: How many further studies as large are run, to time them alone.
    """
    start = time.perf_counter()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    devices = jax.local_devices()[:at_once]
    if len(devices) < at_once:
        raise ValueError(
            f"each trial at once needs a device, but got {at_once=} with "
            f"{len(devices)} devices. Use --devices {at_once}."
        )
    rates = np.asarray(learning_rates, np.float32)
    orders = data_orders(
        seed, samples=len(data.x_train), epochs=epochs, batch_size=batch_size
    )
    model = make_network(network, width, int(data.y_train.max()) + 1)
    programs = make_programs(model, seed)
    trainers = [Trainer(programs, data, orders, device, form) for device in devices]

    before = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(Trainer.compile, trainers))
    compile_seconds = time.perf_counter() - before

    accuracies = np.zeros((len(rates), epochs), np.float32)
    idle: queue.SimpleQueue[Trainer] = queue.SimpleQueue()
    for trainer in trainers:
        idle.put(trainer)
    low, high = float(rates.min()), float(rates.max())

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", low, high, log=True)
        trainer = idle.get()
        try:
            accuracies[trial.number] = trainer.train(rate, trial.number)
        finally:
            idle.put(trainer)
        return float(accuracies[trial.number, -1])

    def search() -> None:
        study = optuna.create_study(
            direction="maximize", sampler=ListedSampler(rates, seed)
        )
        study.optimize(objective, n_trials=len(rates), n_jobs=at_once)

    search()
    train_seconds = time.perf_counter() - start - compile_seconds
    return RivalResult(
        compile_seconds=compile_seconds,
        train_seconds=train_seconds,
        accuracies=accuracies,
        again_seconds=timed_again(search, again),
    )


if __name__ == "__main__":
    side_main(run, devices=1)
