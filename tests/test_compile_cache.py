"""Compiled programs on disk: found again, told apart, kept small, never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import evotune as et
from evotune._cache import CachedFunction, _programs, _settings, compile_cached
from evotune._cache._key import program_key
from evotune._cache._store import Store

ROOT = Path(__file__).resolve().parents[1]

STUDY = """
import collections, json, jax.monitoring, numpy as np
import evotune as et
from flax import linen as nn

counts = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: counts.update([event]))
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, fun_name="", **_: counts.update(
        [event] if "compiler_option" not in fun_name else []  # only tried, never run
    )
)

class Net(nn.Module):
    dropout: float
    classes: int

    @nn.compact
    def __call__(self, x, train: bool):
        x = nn.Dropout(self.dropout, deterministic=not train)(nn.Dense(8)(x))
        return nn.Dense(self.classes)(x)

x = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
task = et.tasks.Classification(
    et.datasets.arrays(x, (x[:, 0] > 0).astype(int)),
    model=lambda hp, info: Net(hp.dropout, info.num_outputs)
)
space = et.Space(
    learning_rate=et.Float(1e-3, 1e-1, log=True), dropout=et.Float(0.0, 0.5), epochs=2
)
algorithm = et.GeneticAlgorithm(population_size=8)
result = et.tune(task, space, algorithm=algorithm, generations=2, progress=False)
print(json.dumps({
    "values": [trial.value for trial in result.trials],
    "params": [trial.params for trial in result.trials],
    "test": result.test_metrics(),
    "compiled": counts["/jax/core/compile/backend_compile_duration"],
    "hits": counts["/evotune/compile_cache/hits"],
    "misses": counts["/evotune/compile_cache/misses"],
}))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of this test's own; settings and complaints are put back."""
    monkeypatch.setattr(_settings, "_settings", _settings.Settings())
    monkeypatch.setattr(_programs, "_complained", set())
    monkeypatch.setenv("EVOTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*")) if folder.exists() else []


def devices() -> list[jax.Device]:
    return jax.local_devices()[:1]


def compiled(function, *arguments, **options):
    lowered = jax.jit(function, **options).lower(*arguments)
    return compile_cached(lowered, devices=devices())


def squared():
    """A function that JAX has not compiled in this process."""

    def squared(x):
        return x * x

    return squared


def key_of(function, *arguments, compiler=None, on=None, **options):
    lowered = jax.jit(function, **options).lower(*arguments)
    return program_key(lowered, compiler, on or devices())


def test_a_second_process_compiles_nothing_and_finds_the_same_bits(tmp_path) -> None:
    def run() -> tuple[dict, str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", STUDY],
            cwd=ROOT,
            env={**os.environ, "EVOTUNE_CACHE": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    (first, _), (second, complaints) = run(), run()
    assert first["hits"] == 0
    assert first["misses"] == first["compiled"] == len(entries(tmp_path)) > 5
    assert second["misses"] == second["compiled"] == 0
    assert second["hits"] == first["misses"]
    for found in ("values", "params", "test"):
        assert second[found] == first[found]
    assert not complaints


def test_results_with_and_without_the_cache_are_the_same_bits(folder) -> None:
    def values(task):
        space = et.Space(x=et.Float(-1.0, 1.0), y=et.Float(1.0, 9.0))
        result = et.tune(task, space, generations=3, seed=2, progress=False)
        return [trial.value for trial in result.trials]

    def task():
        return et.tasks.Function(lambda hp: jnp.sin(hp.x * 7.0) / hp.y)

    fresh, loaded = values(task()), values(task())
    assert entries(folder)
    et.engine.set_compile_cache(enabled=False)
    assert fresh == loaded == values(task())


def test_a_program_is_compiled_once_for_all_processes(folder, count_compiles) -> None:
    def double(x):
        return 2.0 * x

    with count_compiles() as compiles:
        results = [compiled(double, np.float32(4.0))(np.float32(4.0)) for _ in "ab"]
    assert compiles == {"double": 1}
    assert [float(result) for result in results] == [8.0, 8.0]
    assert len(entries(folder)) == 1
    assert folder.stat().st_mode & 0o077 == 0  # loading runs code: this user's alone


def test_programs_that_differ_have_keys_that_differ() -> None:
    x, y = np.ones(3, np.float32), np.ones(4, np.float32)
    table, other = np.arange(9_000.0), np.arange(9_000.0)
    other[4_000] = -1.0
    table, other = jnp.asarray(table, jnp.float32), jnp.asarray(other, jnp.float32)
    two = jax.local_devices()[:2]
    assert len(two) == 2
    mesh = [jax.sharding.Mesh(np.array(row), ("i",)) for row in (two, two[::-1])]
    pair = [
        jax.jit(lambda a: a).lower(
            jax.device_put(
                np.ones(2, np.float32),
                jax.sharding.NamedSharding(m, jax.sharding.PartitionSpec("i")),
            )
        )
        for m in mesh
    ]
    keys = [
        key_of(lambda a: a + 1, x),
        key_of(lambda a: a + 2, x),
        key_of(lambda a: a + 1, y),
        key_of(lambda a: a + 1, x, compiler={"xla_backend_optimization_level": 1}),
        key_of(lambda a: a + 1, x, compiler={"xla_backend_optimization_level": 0}),
        key_of(lambda a: a + 1, x, donate_argnums=0),
        key_of(lambda a: a + 1, x, on=two[1:]),
        key_of(lambda a: a + table[: a.shape[0]].sum() + table[-1], x),
        key_of(lambda a: jnp.take(table, a.astype(int)), x),
        key_of(lambda a: jnp.take(other, a.astype(int)), x),
        program_key(pair[0], None, two),
        program_key(pair[1], None, two[::-1]),
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert key_of(lambda a: a + 1, x) == keys[0]


def test_dropped_arguments_are_told_apart(folder) -> None:
    # Both have one text: what is dropped before compiling does not show in it.
    def first(pair):
        return pair["a"] + 1

    def second(pair):
        return pair["b"] + 1

    second.__name__ = second.__qualname__ = "first"
    pair = {"a": np.float32(1.0), "b": np.float32(5.0)}
    texts = {jax.jit(function).lower(pair).as_text() for function in (first, second)}
    assert len(texts) == 1
    for _ in range(2):  # compiled, then loaded
        assert float(compiled(first, pair)(pair)) == 2.0
        assert float(compiled(second, pair)(pair)) == 6.0
    assert len(entries(folder)) == 2


def test_a_program_that_calls_back_into_python_is_not_kept(folder) -> None:
    seen = []

    def noisy(x):
        jax.debug.callback(seen.append, x)
        return x

    def asking(x):
        return jax.pure_callback(lambda v: v, jax.ShapeDtypeStruct((), x.dtype), x)

    for function in (noisy, asking):
        compiled(function, np.float32(3.0))(np.float32(3.0)).block_until_ready()
    jax.effects_barrier()
    assert [float(x) for x in seen] == [3.0]
    assert not entries(folder)


def test_a_damaged_entry_is_compiled_again_and_mended(folder, count_compiles) -> None:
    x = np.float32(3.0)
    compiled(squared(), x)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    store, key = Store(folder, 2**20), path.stem

    def damaged():
        yield whole[:-7]
        yield b""
        yield whole[:40] + b"?" + whole[41:]
        store.write(key, b"of another version")
        yield path.read_bytes()  # whole, but no program

    for content in damaged():
        path.write_bytes(content)
        with count_compiles() as compiles:
            for _ in range(2):
                assert float(compiled(squared(), x)(x)) == 9.0
        assert compiles == {"squared": 1}


def test_a_folder_that_cannot_be_written_warns_once(folder, monkeypatch) -> None:
    blocked = folder.parent / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("EVOTUNE_CACHE", str(blocked / "cache"))
    x = np.float32(3.0)
    with pytest.warns(UserWarning, match="cannot be kept in .*EVOTUNE_CACHE"):
        assert float(compiled(squared(), x)(x)) == 9.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(compiled(jnp.sqrt, x)(x)) == pytest.approx(3.0**0.5)
    assert blocked.read_text() == "not a folder"


def test_the_users_own_cache_does_the_work(folder, tmp_path) -> None:
    own = tmp_path / "own"
    before = {
        name: getattr(jax.config, name)
        for name in (
            "jax_compilation_cache_dir",
            "jax_persistent_cache_min_compile_time_secs",
        )
    }
    jax.config.update("jax_compilation_cache_dir", str(own))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    try:
        assert et.engine.set_compile_cache(folder) is None
        x = np.float32(3.0)
        assert float(compiled(squared(), x)(x)) == 9.0
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
    assert entries(own)
    assert not entries(folder)


def test_no_setting_of_jax_is_changed(folder) -> None:
    before = dict(jax.config.values)
    compiled(squared(), np.float32(3.0))
    assert dict(jax.config.values) == before
    assert len(entries(folder)) == 1


@pytest.mark.parametrize("switch", ["variable", "call", "jax"])
def test_it_can_be_switched_off(switch, folder, monkeypatch) -> None:
    enabled = jax.config.jax_enable_compilation_cache
    try:
        if switch == "variable":
            monkeypatch.setenv("EVOTUNE_CACHE", "Off")
        elif switch == "call":
            assert et.engine.set_compile_cache(folder, enabled=False) is None
        else:
            jax.config.update("jax_enable_compilation_cache", False)
        compiled(squared(), np.float32(3.0))
    finally:
        jax.config.update("jax_enable_compilation_cache", enabled)
    assert not entries(folder)
    et.engine.set_compile_cache(folder)  # the call wins over the variable
    compiled(squared(), np.float32(3.0))
    assert len(entries(folder)) == 1


def test_the_folder_follows_the_call_the_variable_and_the_platform(
    folder, tmp_path, monkeypatch
) -> None:
    called = et.engine.set_compile_cache(tmp_path / "called")
    assert called == tmp_path / "called"
    assert et.engine.set_compile_cache() == folder
    monkeypatch.delenv("EVOTUNE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    rest = Path("evotune") / "programs"
    for platform, base in {
        "linux": tmp_path / ".cache",
        "darwin": tmp_path / "Library" / "Caches",
        "win32": tmp_path / "AppData" / "Local",
    }.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert et.engine.set_compile_cache() == base / rest
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert et.engine.set_compile_cache() == tmp_path / ".cache" / rest
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert et.engine.set_compile_cache() == tmp_path / "xdg" / rest
    with pytest.raises(ValueError, match=r"max_bytes must be positive.*enabled=False"):
        et.engine.set_compile_cache(max_bytes=0)


def test_the_least_recently_used_entries_go_first(tmp_path) -> None:
    store = Store(tmp_path / "cache", max_bytes=3_500)
    noise = np.random.default_rng(0).bytes(1_000)
    for age, key in enumerate("abc"):
        store.write(key, noise)
        os.utime(tmp_path / "cache" / f"{key}.program", (1_000 + age, 1_000 + age))
    assert store.read("a") == noise  # now the latest one
    abandoned = tmp_path / "cache" / "killed.unfinished"
    abandoned.write_bytes(noise)
    os.utime(abandoned, (1_000, 1_000))
    store.write("d", noise)
    assert [store.read(key) is not None for key in "abcd"] == [True, False, True, True]
    assert not abandoned.exists()
    store.write("e", np.random.default_rng(1).bytes(4_000))  # larger than all of it
    assert store.read("e") is None
    assert store.read("d") == noise


def test_the_size_limit_holds_for_programs(folder) -> None:
    x = np.float32(3.0)
    compiled(squared(), x)
    size = sum(path.stat().st_size for path in folder.iterdir())
    et.engine.set_compile_cache(max_bytes=2 * size)
    for factor in range(5):
        compiled(lambda v, factor=factor: jnp.sin(v) * factor, x)
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 2 * size


def test_many_threads_write_and_read_the_same_entries(tmp_path) -> None:
    store = Store(tmp_path, max_bytes=20_000)
    contents = {str(i): np.random.default_rng(i).bytes(3_000) for i in range(8)}
    wrong = []

    def work(seed: int) -> None:
        try:
            for i in np.random.default_rng(seed).permutation(np.repeat(range(8), 5)):
                found = store.read(str(i))
                if found not in (None, contents[str(i)]):
                    wrong.append(found)
                store.write(str(i), contents[str(i)])
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000


def test_a_cached_function_compiles_once_for_each_shape(folder, count_compiles) -> None:
    def scaled(factor, x):
        return factor * x

    function = CachedFunction(scaled, static=1)
    small, large = np.ones(2, np.float32), np.ones(3, np.float32)
    with count_compiles() as compiles:
        for factor, x in [(2.0, small), (2.0, large), (3.0, small), (2.0, small)]:
            np.testing.assert_array_equal(function(factor, x), factor * x)
    assert compiles == {"scaled": 3}
    assert len(entries(folder)) == 3
