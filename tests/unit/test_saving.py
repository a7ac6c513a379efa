"""Model files: round trips, what is refused and how, and files that are damaged."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import ranvier as keras
from ranvier import ops
from ranvier.errors import FileError, RanvierError, RanvierWarning, ShapeError
from ranvier.models import allowed, archive, registry, saving

ROWS = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
TARGETS = np.random.default_rng(1).normal(size=(40, 1)).astype("float32")


def small(**compiled: Any) -> Any:
    """A compiled 4-5-1 network."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, "relu", name="hidden"),
            keras.layers.Dense(1, name="out"),
        ]
    )
    model.compile(**({"optimizer": "adam", "loss": "mse"} | compiled))
    return model


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A file of a trained network."""
    model = small(metrics=["mae"])
    model.fit(ROWS, TARGETS, epochs=2, verbose=0)
    path = tmp_path / "m.keras"
    model.save(path)
    return path


def members(path: Path) -> dict[str, bytes]:
    """The members of a model file."""
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def rewritten(path: Path, edit: Callable[[dict[str, bytes]], Any]) -> Path:
    """The file with members changed."""
    content = members(path)
    edit(content)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in content.items():
            file.writestr(name, data)
    return path


def configured(path: Path, edit: Callable[[Any], Any]) -> Path:
    """The file with its configuration changed."""

    def change(content: dict[str, bytes]) -> None:
        config = json.loads(content[archive.CONFIG])
        content[archive.CONFIG] = json.dumps(edit(config) or config).encode()

    return rewritten(path, change)


def weighed(path: Path, edit: Callable[[h5py.File], Any]) -> Path:
    """The file with its weights changed."""

    def change(content: dict[str, bytes]) -> None:
        buffer = io.BytesIO(content[archive.WEIGHTS])
        with h5py.File(buffer, "r+") as file:
            edit(file)
        content[archive.WEIGHTS] = buffer.getvalue()

    return rewritten(path, change)


def refused(path: Path, *texts: str, code: str = "RV601", **options: Any) -> FileError:
    """Loading raises a FileError of that code that says all this."""
    with pytest.raises(FileError) as caught:
        keras.models.load_model(path, **options)
    assert caught.value.code == code
    for text in texts:
        assert text in str(caught.value), str(caught.value)
    return caught.value


# -- round trips ---------------------------------------------------------------------


def test_weights_optimizer_and_further_training_are_the_same(saved: Path) -> None:
    one, two = (keras.models.load_model(saved) for _ in range(2))
    first = small(metrics=["mae"])
    first.fit(ROWS, TARGETS, epochs=2, verbose=0)
    np.testing.assert_array_equal(
        one.predict(ROWS, verbose=0), first.predict(ROWS, verbose=0)
    )
    for mine, theirs in zip(
        first.optimizer.variables, one.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    assert one.evaluate(ROWS, TARGETS, verbose=0) == two.evaluate(
        ROWS, TARGETS, verbose=0
    )
    for model in (first, one):
        model.fit(ROWS, TARGETS, verbose=0, shuffle=False)
    for mine, theirs in zip(first.get_weights(), one.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_every_layer_family_comes_back(tmp_path: Path) -> None:
    normalization = keras.layers.Normalization()
    normalization.adapt(ROWS)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            normalization,
            keras.layers.Dense(
                6,
                kernel_regularizer=keras.regularizers.L1L2(1e-3, 1e-2),
                bias_constraint=keras.constraints.MaxNorm(1.0),
                kernel_initializer=keras.initializers.HeNormal(seed=2),
            ),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.LayerNormalization(),
            keras.layers.Dropout(0.3, seed=1),
            keras.Sequential([keras.layers.Dense(6), keras.layers.PReLU()]),
            keras.layers.Reshape((3, 2)),
            keras.layers.Flatten(),
            keras.layers.Activation("tanh"),
            keras.layers.Dense(1, trainable=False),
        ]
    )
    model.compile(
        keras.optimizers.SGD(
            keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9), momentum=0.9
        ),
        keras.losses.Huber(0.5),
        metrics=[keras.metrics.RootMeanSquaredError(), "mae"],
    )
    model.fit(ROWS, TARGETS, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        again.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0)
    )
    assert again.evaluate(ROWS, TARGETS, verbose=0) == model.evaluate(
        ROWS, TARGETS, verbose=0
    )
    for mine, theirs in zip(model.weights, again.weights, strict=True):
        assert (mine.shape, mine.trainable) == (theirs.shape, theirs.trainable)
    assert len(again.trainable_variables) == len(model.trainable_variables)


def test_embedding_and_integer_input(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(7, 2),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    rows = np.arange(21).reshape(7, 3) % 7
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        again.predict(rows, verbose=0), model.predict(rows, verbose=0)
    )


def test_weights_alone(tmp_path: Path, saved: Path) -> None:
    model = keras.models.load_model(saved)
    model.save_weights(tmp_path / "a.weights.h5")
    for path in (tmp_path / "a.weights.h5", saved):
        other = small()
        other.load_weights(path)
        for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_not_compiled_and_not_begun(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path / "m.keras")  # the optimizer has no slots yet
    again = keras.models.load_model(tmp_path / "m.keras")
    again.fit(ROWS, TARGETS, verbose=0)
    bare = keras.models.load_model(tmp_path / "m.keras", compile=False)
    assert not bare.compiled
    bare.save(tmp_path / "n.keras")
    assert not keras.models.load_model(tmp_path / "n.keras").compiled


def test_a_loaded_model_resets_to_its_initializers(saved: Path) -> None:
    model = keras.models.load_model(saved)
    model.reset(seed=5)
    assert np.any(model.get_weights()[0] != 0)


# -- the user's own ------------------------------------------------------------------


class Scaled(keras.layers.Layer):
    """A layer with a weight, a layer inside, and one in a list."""

    def __init__(self, units: int, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.inner = keras.layers.Dense(units)
        self.rest = [keras.layers.Dense(units)]

    def build(self, input_shape: Any) -> None:
        """Makes the factor."""
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")

    def call(self, x: Any) -> Any:
        """Two dense layers after a factor."""
        return self.activation(self.rest[0](self.inner(x * self.factor)))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


class Net(keras.Model):
    """A model without build()."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.first = keras.layers.Dense(units)
        self.last = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        """Two layers."""
        return self.last(self.first(x))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "units": self.units}


def doubled(x: Any) -> Any:
    """An activation."""
    return 2 * x


def cubed(y: Any, p: Any) -> Any:
    """A loss."""
    return ops.mean(ops.abs(y - p) ** 3, axis=-1)


def test_own_layers_and_functions_come_by_custom_objects(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((4,)), Scaled(3, doubled), keras.layers.Dense(1, doubled)]
    )
    model.compile("adam", cubed)
    model.fit(ROWS, TARGETS, verbose=0)
    path = tmp_path / "m.keras"
    model.save(path)
    refused(path, "Scaled", "allowed:", "Dense", "custom_objects")
    refused(path, "doubled", custom_objects={"Scaled": Scaled})
    again = keras.models.load_model(
        path, custom_objects={"Scaled": Scaled, "doubled": doubled, "cubed": cubed}
    )
    np.testing.assert_array_equal(
        again.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0)
    )
    again.fit(ROWS, TARGETS, verbose=0)


def test_a_model_class_comes_back_with_its_weights(tmp_path: Path) -> None:
    model = Net(units=2)
    model.compile("sgd", "mse")
    model.fit(ROWS, TARGETS, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Net": Net})
    np.testing.assert_array_equal(
        again.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0)
    )


def test_registered_objects_need_no_custom_objects(tmp_path: Path) -> None:
    @allowed.register_keras_serializable("tests")
    class Own(Scaled):
        """A layer the program itself registered."""

    try:
        model = keras.Sequential([keras.Input((4,)), Own(3)])
        described = registry.serialize_keras_object(model.layers[0])
        assert described["registered_name"] == "tests>Own"
        model.save(tmp_path / "m.keras")
        again = keras.models.load_model(tmp_path / "m.keras")
        assert isinstance(again.layers[0], Own)
    finally:
        del allowed.get_custom_objects()["tests>Own"]


def test_a_lambda_loss_does_not_cost_the_weights(tmp_path: Path) -> None:
    model = small(loss=lambda y, p: ops.mean(ops.square(y - p), axis=-1))
    model.fit(ROWS, TARGETS, verbose=0)
    with pytest.warns(RanvierWarning, match="lambda"):
        model.save(tmp_path / "m.keras")
    assert not keras.models.load_model(tmp_path / "m.keras").compiled


def test_a_lambda_in_a_layer_is_not_written(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, lambda x: x)])
    with pytest.raises(FileError, match="lambda") as caught:
        model.save(tmp_path / "m.keras")
    assert caught.value.code == "RV603"
    assert not os.listdir(tmp_path)


# -- code and names in files ---------------------------------------------------------


def layer(model: Any, **changes: Any) -> None:
    """Changes the first dense layer of a configuration."""
    model["config"]["layers"][1].update(changes)


GADGETS: dict[str, Callable[[Any], Any]] = {
    "Lambda": lambda c: layer(c, class_name="Lambda"),
    "system": lambda c: layer(c, module="os", class_name="system"),
    "get_file": lambda c: layer(c, module="keras.utils", class_name="get_file"),
    "load_model": lambda c: layer(c, module="keras.models", class_name="load_model"),
    "unsafe": lambda c: layer(
        c, module="keras.config", class_name="enable_unsafe_deserialization"
    ),
    "Torch": lambda c: layer(c, class_name="TorchModuleWrapper"),
    "TFSMLayer": lambda c: layer(c, class_name="TFSMLayer"),
    "module": lambda c: layer(c, module="ranvier.models.saving"),
    "name": lambda c: layer(c, class_name=["Dense"]),
    "function": lambda c: layer(
        c, class_name="function", module="builtins", config="eval"
    ),
    "bytecode": lambda c: c["config"]["layers"][1]["config"].update(
        activation={"class_name": "__lambda__", "config": {"value": ["4wA=", 0, 0]}}
    ),
    "nested": lambda c: c["config"]["layers"][1]["config"].update(
        kernel_initializer={"module": "os", "class_name": "popen", "config": {}}
    ),
    "loss": lambda c: c["compile_config"].update(
        loss={
            "module": "builtins",
            "class_name": "function",
            "config": "exec",
            "registered_name": "exec",
        }
    ),
    "typespec": lambda c: layer(c, class_name="__typespec__"),
    "units": lambda c: c["config"]["layers"][1]["config"].update(units=10**9),
    "huge": lambda c: c["config"]["layers"][1]["config"].update(units=10**4000),
    "negative": lambda c: c["config"]["layers"][1]["config"].update(units=-5),
    "input": lambda c: c["config"]["layers"][0]["config"].update(
        batch_shape=[None, 10**12]
    ),
    "given mean": lambda c: c["config"].update(
        layers=[
            c["config"]["layers"][0] | {"config": {"batch_shape": [None, 10**10]}},
            {
                "module": "keras.layers",
                "class_name": "Normalization",
                "config": {"mean": 0.0, "variance": 1.0},
            },
        ]
    ),
    "text": lambda c: c["config"]["layers"][1]["config"].update(units="many"),
    "argument": lambda c: c["config"]["layers"][1]["config"].update(colour=1),
    "dtype": lambda c: c["config"]["layers"][1]["config"].update(dtype="float8"),
    "layers": lambda c: c["config"].update(layers=7),
    "no layers": lambda c: c["config"].pop("layers"),
    "config": lambda c: c.update(config=None),
    "metric": lambda c: c["compile_config"].update(
        metrics=[
            {
                "module": "keras.metrics",
                "class_name": "AUC",
                "config": {"num_thresholds": 10**11},
            }
        ]
    ),
    "no model": lambda c: {"module": "keras.layers", "class_name": "Dense"},
    "list": lambda c: [c],
    "deep": lambda c: [json.loads("[" * 300 + "]" * 300)],
}


@pytest.mark.parametrize("gadget", GADGETS)
def test_what_a_configuration_may_not_say(saved: Path, gadget: str) -> None:
    refused(configured(saved, GADGETS[gadget]))


def test_the_refused_layer_is_named(saved: Path) -> None:
    config = configured(saved, GADGETS["bytecode"])
    refused(config, "hidden", "code", "never run")


def test_nothing_is_run_imported_or_opened_while_loading(saved: Path) -> None:
    program = """
import sys
import ranvier as keras
path = sys.argv[1]
keras.models.load_model(path)
seen = []
BAD = ("exec", "compile", "import", "socket", "subprocess", "os.system", "pickle",
       "marshal", "ctypes", "shutil", "tempfile", "os.remove", "os.rename", "os.mkdir")
def hook(event, arguments):
    if event.startswith(BAD) or (event == "open" and arguments[0] != path):
        seen.append((event, str(arguments)[:200]))
sys.addaudithook(hook)
keras.models.load_model(path)
print(seen)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(saved)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]", done.stdout


# -- archives ------------------------------------------------------------------------


def test_files_that_are_no_models(tmp_path: Path, saved: Path) -> None:
    refused(tmp_path / "absent.keras", "m.keras", code="RV605")
    refused(tmp_path, "folder", code="RV605")
    refused(None, "path", code="RV605")  # type: ignore[arg-type]
    refused(tmp_path / "nul\0.keras", code="RV605")
    for name, data, text in (
        ("empty", b"", "empty"),
        ("text", b"hello, I am a text", "zip"),
        ("hdf5", b"\x89HDF\r\n\x1a\n" + bytes(64), "load_weights"),
        ("truncated", saved.read_bytes()[:-400], "damaged"),
        ("short", saved.read_bytes()[:100], "damaged"),
    ):
        path = tmp_path / f"{name}.keras"
        path.write_bytes(data)
        refused(path, text)


def with_archive(path: Path, *entries: tuple[Any, bytes], **options: Any) -> Path:
    """A new archive of these entries."""
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_are_not_as_keras_writes_them(saved: Path) -> None:
    content = members(saved)
    entries = list(content.items())
    packed = with_archive(saved, *entries, compression=zipfile.ZIP_DEFLATED)
    keras.models.load_model(packed)
    refused(with_archive(saved, *entries, ("../evil", b"x")), "evil")
    refused(with_archive(saved, *entries, ("assets/a.txt", b"x")), "assets")
    refused(with_archive(saved, *entries, entries[1]), "twice")
    refused(with_archive(saved, *entries[:2]), "model.weights.h5")
    refused(with_archive(saved, *entries, compression=zipfile.ZIP_BZIP2), "unknown way")
    bomb = (archive.WEIGHTS, bytes(80 << 20))
    refused(
        with_archive(saved, *entries[:2], bomb, compression=zipfile.ZIP_DEFLATED),
        "unpack",
    )
    refused(with_archive(saved, (archive.CONFIG, b"{"), entries[2]), "damaged")
    refused(with_archive(saved, (archive.CONFIG, b"\xff\xfe"), entries[2]), "damaged")
    deep = b"[" * 200_000 + b"]" * 200_000
    refused(with_archive(saved, (archive.CONFIG, deep), entries[2]))


# -- weights -------------------------------------------------------------------------

KERNEL = "layers/dense/vars/0"


def replaced(file: h5py.File, **options: Any) -> None:
    """Another dataset in place of the first kernel."""
    del file[KERNEL]
    file.create_dataset(KERNEL, **options)


def virtual(file: h5py.File) -> None:
    """A dataset made of another file's."""
    del file[KERNEL]
    layout = h5py.VirtualLayout((4, 5), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4, 5))
    file.create_virtual_dataset(KERNEL, layout)


def linked(link: Any) -> Callable[[h5py.File], None]:
    """A link in place of the first kernel."""

    def edit(file: h5py.File) -> None:
        del file[KERNEL]
        file[KERNEL] = link

    return edit


def linked_group(file: h5py.File) -> None:
    """A link in place of a group."""
    del file["layers/dense"]
    file["layers/dense"] = h5py.SoftLink("/layers/dense_1")


NUMBERS = np.zeros((4, 5), "float32")
WEIGHTS: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "missing": (lambda f: f.__delitem__(KERNEL), "'hidden' has 2 variables"),
    "extra": (lambda f: f.create_dataset("layers/dense/vars/2", data=1.0), "3"),
    "shape": (lambda f: replaced(f, data=NUMBERS.T), "'kernel' has the shape (4, 5)"),
    "integers": (lambda f: replaced(f, data=NUMBERS.astype("i4")), "int32"),
    "complex": (lambda f: replaced(f, data=NUMBERS.astype("c8")), "plain numbers"),
    "text": (lambda f: replaced(f, data="hello"), "plain numbers"),
    "null": (lambda f: replaced(f, data=h5py.Empty("f4")), "plain numbers"),
    "group": (
        lambda f: (f.__delitem__(KERNEL), f.create_group(KERNEL)),
        "no dataset",
    ),
    "soft link": (linked(h5py.SoftLink("/layers/dense_1/vars/0")), "link"),
    "external link": (linked(h5py.ExternalLink("other.h5", "/x")), "link"),
    "group link": (linked_group, "link"),
    "virtual": (virtual, "other files"),
    "external": (
        lambda f: replaced(f, shape=(4, 5), dtype="f4", external=[("raw", 0, 80)]),
        "another file",
    ),
    "bomb": (
        lambda f: replaced(f, shape=(4, 5), dtype="f4", chunks=(4, 5)),
        "stores 0",
    ),
    "plugin": (lambda f: replaced(f, data=NUMBERS, compression="lzf"), "unknown way"),
    "optimizer": (lambda f: f.__delitem__("optimizer/vars/3"), "optimizer 'adam'"),
    "nothing": (lambda f: f.__delitem__("layers"), "has 2 variables"),
}


@pytest.mark.parametrize("fault", WEIGHTS)
def test_weights_that_are_not_as_they_must_be(saved: Path, fault: str) -> None:
    edit, text = WEIGHTS[fault]
    refused(weighed(saved, edit), text)


def test_packed_and_wider_numbers_are_read(saved: Path) -> None:
    value = np.arange(20.0).reshape(4, 5)
    weighed(saved, lambda f: replaced(f, data=value, compression="gzip"))
    found = keras.models.load_model(saved).get_weights()[0]
    np.testing.assert_array_equal(found, value.astype("float32"))


def test_a_mismatch_changes_nothing(tmp_path: Path, saved: Path) -> None:
    other = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(2, name="out")]
    )
    before = other.get_weights()
    with pytest.raises(FileError, match="layer 'out', variable 'kernel'"):
        other.load_weights(saved)
    for mine, theirs in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.warns(RanvierWarning, match="'out'"):
        saving.load_weights(other, saved, skip_mismatch=True)
    np.testing.assert_array_equal(
        other.get_weights()[0], keras.models.load_model(saved).get_weights()[0]
    )


def test_another_optimizer_is_an_error_not_a_silent_loss(saved: Path) -> None:
    model = small(optimizer="sgd")
    with pytest.raises(FileError, match="optimizer 'sgd' has 2 variables") as caught:
        model.load_weights(saved)
    assert "before compile()" in caught.value.fix


# -- writing -------------------------------------------------------------------------


def test_overwriting(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(FileError, match="exists already") as caught:
        small().save(saved, overwrite=False)
    assert caught.value.code == "RV603"
    assert saved.read_bytes() == before


def test_a_failed_write_leaves_the_old_file(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="cannot be written") as caught:
        small().save(saved)
    assert caught.value.code == "RV603"
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_places_that_cannot_be_written(tmp_path: Path, saved: Path) -> None:
    model = small()
    (tmp_path / "folder.keras").mkdir()
    for path in (saved / "inside.keras", tmp_path / "folder.keras"):
        with pytest.raises(FileError) as caught:
            model.save(path)
        assert caught.value.code == "RV603"
    with pytest.raises(FileError, match="must end in"):
        model.save(None)
    for call, name in ((model.save, "m.h5"), (model.save_weights, "m.h5")):
        with pytest.raises(FileError, match="must end in"):
            call(tmp_path / name)


def test_a_model_without_weights(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ShapeError, match="RV106"):
        model.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ShapeError, match="RV106"):
        model.load_weights(tmp_path / "m.weights.h5")
    with pytest.warns(RanvierWarning, match="without weights"):
        model.save(tmp_path / "m.keras")
    assert not keras.models.load_model(tmp_path / "m.keras").built


def test_layers_that_no_file_can_find(tmp_path: Path) -> None:
    class Hiding(keras.layers.Layer):
        """Holds a layer in a set."""

        def __init__(self) -> None:
            super().__init__()
            self.hidden = {keras.layers.Dense(2)}

        def call(self, x: Any) -> Any:
            """The hidden layer."""
            return next(iter(self.hidden))(x)

    model = keras.Sequential([keras.Input((4,)), Hiding()])
    with pytest.raises(FileError, match="would not be saved"):
        model.save(tmp_path / "m.keras")


# -- damage at random ----------------------------------------------------------------

FUZZ = """
import io, sys, zipfile
from pathlib import Path
import numpy as np
import ranvier as keras
from ranvier.errors import FileError

path = Path(sys.argv[1])
whole = path.read_bytes()
with zipfile.ZipFile(path) as file:
    content = {name: file.read(name) for name in file.namelist()}
rng = np.random.default_rng(int(sys.argv[2]))
target = path.with_name("mutant.keras")
outcomes = {"loaded": 0, "refused": 0}

def mutated(data, times):
    data = bytearray(data)
    for _ in range(times):
        at = int(rng.integers(len(data)))
        kind = rng.integers(4)
        if kind == 0:
            data[at] = int(rng.integers(256))
        elif kind == 1:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            data[at : at + 8] = bytes(rng.integers(0, 256, 8, dtype=np.uint8))
        else:
            del data[at : at + int(rng.integers(1, 16))]
    return bytes(data)

for case in range(int(sys.argv[3])):
    times = int(rng.integers(1, 6))
    kind = case % 4
    if kind == 0:
        data = whole[: int(rng.integers(len(whole)))]
    elif kind == 1:
        data = mutated(whole, times)
    else:
        changed = dict(content)
        name = "model.weights.h5" if kind == 2 else "config.json"
        changed[name] = mutated(changed[name], times)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for member, bytes_ in changed.items():
                file.writestr(member, bytes_)
        data = buffer.getvalue()
    target.write_bytes(data)
    try:
        keras.models.load_model(target)
        outcomes["loaded"] += 1
    except FileError:
        outcomes["refused"] += 1
    except BaseException:
        target.rename(path.with_name("culprit.keras"))
        raise
print(outcomes["loaded"] + outcomes["refused"], outcomes["refused"])
"""


def test_damaged_files_are_refused_and_never_crash(saved: Path) -> None:
    # In a process of its own, so that a crash of the HDF5 library is a failed test.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FUZZ, str(saved), "0", "300"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    total, damaged = map(int, done.stdout.split())
    assert total == 300
    assert damaged > 200


def test_errors_point_at_the_callers_line(saved: Path) -> None:
    whole = saved.read_bytes()
    saved.with_name("part.keras").write_bytes(whole[:-200])
    for name in ("absent.keras", "part.keras"):
        with pytest.raises(RanvierError) as caught:
            keras.models.load_model(saved.with_name(name))
        assert "test_saving.py" in caught.value.place
