"""Evolves language models of characters, and lets the best one write.

    python scripts/examples/characters_language_model.py     # two minutes on 2 cores
    python scripts/examples/characters_language_model.py --text book.txt
    python scripts/examples/characters_language_model.py --tiny   # does it run?

Without ``--text`` it learns from the beginning of Python's own reference manual, which
every Python has with it. So short a training learns spelling, not sense.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax

import evotune as et


def main() -> None:
    options = parse()
    length = 8 if options.tiny else 32
    corpus = et.datasets.characters(options.text, length=length)
    size = 2_000 if options.tiny else options.characters
    corpus = et.datasets.characters(corpus.decode(corpus.codes[:size]), length=length)
    print(corpus)
    model = et.models.RNN() if options.model == "rnn" else et.models.Transformer()
    task = et.tasks.LanguageModel(corpus, model=model)
    space = et.Space(
        optimizer="adamw",
        learning_rate=et.Float(1e-3, 2e-2, log=True),
        weight_decay=et.Float(1e-5, 1e-1, log=True),
        schedule="cosine",
        warmup=0.1,
        gradient_clip=1.0,
        width=8 if options.tiny else et.Int(32, 64),
        depth=1,
        batch_size=16,
        epochs=1 if options.tiny else options.epochs,
    )
    result = et.tune(
        task,
        space,
        n_trials=2 if options.tiny else options.trials,
        seed=options.seed,
    )
    print(result)
    print(f"test perplexity {result.test_metrics()['test_perplexity']:.2f}")
    prompt = corpus.decode(corpus.codes[:length])
    key = jax.random.key(options.seed)
    fitted = result.best_model()
    assert isinstance(fitted, et.tasks.FittedLanguageModel)  # what its task hands out
    text = fitted.generate(prompt, 8 if options.tiny else 200, key=key)
    print(f"{prompt}|{text}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--text", type=Path, help="a file, read as UTF-8")
    parser.add_argument("--model", choices=["rnn", "transformer"], default="rnn")
    parser.add_argument("--characters", type=int, default=60_000, help="of the text")
    parser.add_argument("--trials", type=int, default=12, help="trainings")
    parser.add_argument("--epochs", type=int, default=5, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="of the whole search")
    parser.add_argument("--tiny", action="store_true", help="only check that it runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
