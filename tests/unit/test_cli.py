"""The command line without training: help, usage, listings, doctor, run, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ranvier.cli import main
from ranvier.cli.output import number
from ranvier.cli.runs import Run, read_events
from ranvier.errors import FileError, ResumeError

ENTRY = [sys.executable, "-m", "ranvier"]


def test_help_leads_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert text.index("ranvier train fashion-mnist") < text.index("Commands:")
    for command in ("train", "evaluate", "predict", "summary", "run", "doctor"):
        assert main([command, "--help"]) == 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["train"], "Name a data set"),
        (["train", "fashion-mnits"], "nearest: 'fashion-mnist'"),
        (["train", "fashion-mnist", "--resume", "x"], "Name a data set"),
        (["train", "--resume", "x", "--seed", "1"], "--seed: a resumed run keeps"),
        (["train", "fashion-mnist", "--layers", "big"], "not a list of unit counts"),
        (["train", "fashion-mnist", "--epochs", "0"], "--epochs"),
        (["train", "fashion-mnist", "--validation-split", "1"], "--validation-split"),
        (["train", "fashion-mnist", "--threads", "0"], "--threads"),
        (["trian"], "trian"),
        (["predict", "model.keras"], "IMAGE"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "rv105"]) == 0
    assert capsys.readouterr().out.startswith("RV105: a label outside")
    assert main(["explain", "RV105", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == "RV105"
    assert main(["explain", "RV123"]) == 1
    assert "unknown code 'RV123'" in capsys.readouterr().err


def test_datasets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["datasets"]) == 0
    assert "fashion-mnist" in capsys.readouterr().out
    assert main(["datasets", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["name"] for row in rows} == {"fashion-mnist", "mnist"}
    assert main(["datasets", "--export", str(tmp_path / "x"), "--rows", "3"]) == 0
    written = capsys.readouterr().out.splitlines()
    assert [Path(line).exists() for line in written] == [True] * 3


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert code == bool(facts["problems"])
    assert facts["packages"]["numpy"]
    assert "RANVIER_THREADS" in facts["variables"]
    assert main(["doctor"]) == code
    assert "packages.numpy" in capsys.readouterr().out


def test_doctor_reports_a_bad_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANVIER_OFFLINE", "perhaps")
    assert main(["doctor"]) == 1
    assert "problem: [RV803] RANVIER_OFFLINE='perhaps'" in capsys.readouterr().out


def test_run_passes_arguments_and_exit_code(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    (tmp_path / "beside.py").write_text("value = 41")
    script.write_text(
        "import sys, beside, keras\n"
        "from keras import utils\n"
        "import tensorflow as tf\n"
        "assert __name__ == '__main__'\n"
        "assert tf.keras is keras and keras.__name__ == 'ranvier'\n"
        "print(sys.argv[1:], beside.value)\n"
        "sys.exit(7)\n"
    )
    done = subprocess.run(
        [*ENTRY, "run", str(script), "--epochs", "3", "-x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "['--epochs', '3', '-x'] 41\n", done.stderr
    assert done.returncode == 7


def test_run_of_a_missing_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "nothing.py"]) == 1
    assert "error[RV605]: no such program" in capsys.readouterr().err


def test_a_model_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for command in (["evaluate"], ["summary"], ["predict"]):
        images = ["a.png"] if command == ["predict"] else []
        assert main([*command, str(tmp_path / "none.keras"), *images]) == 1
        assert "error[RV605]: no model at" in capsys.readouterr().err


def test_json_errors_are_objects_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "none.keras", "--json"]) == 1
    captured = capsys.readouterr()
    event = json.loads(captured.out)
    assert (event["k"], event["code"]) == ("error", "RV605")
    assert "error[RV605]" in captured.err


def test_as_keras_speaks_of_what_is_missing() -> None:
    program = (
        "import ranvier.as_keras\n"
        "import tensorflow as tf\n"
        "import keras.datasets.fashion_mnist as f\n"
        "from tensorflow.keras.utils import to_categorical\n"
        "import ranvier, sys\n"
        "assert f is ranvier.datasets.fashion_mnist\n"
        "assert f.__spec__.name == 'ranvier.datasets.fashion_mnist'\n"
        "assert not hasattr(tf, 'data')\n"
        "for line in ('tf.constant(1)', 'import keras.src', 'import keras.layerz',\n"
        "             'import tensorflow.python', 'from tensorflow import data'):\n"
        "    try:\n"
        "        exec(line)\n"
        "    except (ImportError, AttributeError) as fault:\n"
        "        assert 'RV806' in str(fault) or 'cannot import' in str(fault), fault\n"
        "    else:\n"
        "        sys.exit(line)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_command_line_starts_light() -> None:
    program = (
        "import sys\n"
        "from ranvier.cli import main\n"
        "main(['explain', 'RV101'])\n"
        "heavy = {'numpy', 'h5py', 'rich', 'urllib.request', 'PIL'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(2):
        run = Run.create("net", None, {"seed": 1})
        names.append(str(run.folder))
        run.close()
    assert names == ["runs/net-0001", "runs/net-0002"]
    run = Run(Path(names[0]), {})
    assert run.event("start", epoch=0)["i"] == 0
    run.event("epoch", epoch=1, loss=0.5)
    run.close()
    # A line that a crash cut off is skipped, and swallows nothing that follows.
    with open(tmp_path / names[0] / "events.jsonl", "ab") as file:
        file.write(b'{"i": 2, "t": 1, "k": "epo')
    run = Run(Path(names[0]), {})
    run.event("note", text="again")
    run.close()
    assert [e["k"] for e in read_events(Path(names[0]))] == ["start", "epoch", "note"]


def test_a_run_that_cannot_be_resumed(tmp_path: Path) -> None:
    def why() -> str:
        with pytest.raises(ResumeError) as caught:
            Run.open(tmp_path)
        assert caught.value.code == "RV701"
        return caught.value.message

    assert "not the folder of a run" in why()
    (tmp_path / "run.json").write_text("{")
    assert "damaged" in why()
    (tmp_path / "run.json").write_text('{"schema": 99}')
    assert "newer ranvier" in why()
    (tmp_path / "run.json").write_text('{"schema": 1}')
    assert "no saved model" in why()
    with pytest.raises(FileError, match="already holds a run"):
        Run.create("net", tmp_path, {})


def test_a_run_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError) as caught:
        Run.create("net", tmp_path / "file" / "below", {})
    assert caught.value.code == "RV603"


def test_numbers() -> None:
    assert [number(v) for v in (0.31234, 12.0, 0.0, 1e-6, 2.5e7)] == [
        "0.3123",
        "12",
        "0",
        "1e-06",
        "2.5e+07",
    ]
