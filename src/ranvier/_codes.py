"""The catalogue of codes: a title and a paragraph each.

Read by ``ranvier explain CODE`` and ``ranvier.errors.explain``. A test finds every code
used in the sources and asks that it stands here, so that no message points nowhere.
"""

from __future__ import annotations

__all__ = ["CODES"]

#: code -> (title, paragraph). Codes are never reused for another meaning.
CODES: dict[str, tuple[str, str]] = {
    # ------------------------------------------------------- shapes, arguments, the API
    "RV100": (
        "an argument is outside what it may be",
        "A parameter got a value of the wrong type or outside its interval, for "
        "example a negative number of units or a dropout rate of 1.5. The message "
        "names the parameter, what it accepts and what it got.",
    ),
    "RV101": (
        "labels and loss do not fit together",
        "Whole-number labels go with `sparse_categorical_crossentropy`, one-hot "
        "columns with `categorical_crossentropy`, a single column of 0 and 1 with "
        "`binary_crossentropy`. A pair that does not fit would be broadcast to rows x "
        "rows by NumPy's rules and train on nonsense; ranvier refuses it.",
    ),
    "RV102": (
        "a softmax over one unit",
        "Softmax divides by the sum over its units; with one unit the result is "
        "always 1.0, its gradient is zero and nothing can be learned. For two classes "
        "use `Dense(1, activation='sigmoid')` with `binary_crossentropy`, or two "
        "units with softmax.",
    ),
    "RV103": (
        "the input does not have the shape the model was built for",
        "The model takes a batch: the first axis counts rows, the others must equal "
        "the input shape it was built with. One image needs an axis in front "
        "(`x[None]`); an image of another size must be resized, since the number of "
        "weights of the first dense layer is fixed by the number of pixels (28 x 28 = "
        "784).",
    ),
    "RV104": (
        "accuracy of a regression",
        "Accuracy counts exact matches. Targets with many distinct decimals hardly "
        "ever match a prediction exactly, so it stays near zero whatever the model "
        "learns. Use `mae` or `r2_score`.",
    ),
    "RV105": (
        "a label outside the range of classes",
        "With K output units the labels are 0 .. K-1. Labels that start at 1 need 1 "
        "subtracted; more classes need more units. Checked before anything is "
        "written: the weights are those of before the call.",
    ),
    "RV106": (
        "the model is not built or not compiled",
        "`summary`, `get_weights` and `count_params` need weights, which exist once "
        "the input shape is known (`keras.Input(shape)` first, `model.build(shape)`, "
        "or one call on data). `fit` and `evaluate` need `model.compile(...)` first.",
    ),
    "RV107": (
        "an unknown name",
        "A string that names a loss, metric, optimizer, activation, initializer, "
        "layer, class or code is not one of the known ones. The message gives the "
        "nearest.",
    ),
    "RV108": (
        "operands of an operation do not fit",
        "The shapes or dtypes given to an operation cannot be combined by its rule. "
        "The message shows each of them and the user's line that asked for it.",
    ),
    "RV109": (
        "arrays of different length",
        "x, y and sample_weight must have the same number of rows, for row i of one "
        "belongs to row i of the others.",
    ),
    "RV110": (
        "a symbol has no value while a step is traced",
        "Inside a layer, loss or train step the tensors are symbols: Python's `if`, "
        "`float()` or `.numpy()` on them would need a value that does not exist yet. "
        "Use `ops.where` or `ops.cond`, or `compile(run_eagerly=True)`, with which "
        "symbols have the numbers of the batch; a loss gets that by itself (RV503).",
    ),
    "RV111": (
        "an index outside its axis",
        "A gather, an embedding or a label asked for a position that the axis does "
        "not have. Checked before anything is written.",
    ),
    "RV112": (
        "the inputs of a functional model do not lead to its outputs",
        "`Model(inputs, outputs)` follows the layers back from each output. It came to "
        "a tensor that is not among the inputs: a `keras.Input` that was forgotten, or "
        "a tensor that began somewhere else. The message names it and what needs it.",
    ),
    "RV113": (
        "text, or a layer that looks things up, inside the compiled step",
        "A step is compiled for numbers. `StringLookup`, `IntegerLookup`, `Hashing` and "
        "`TextVectorization` run in Python before it, on the inputs of a `Sequential` or "
        "functional model, or on what another of them gave. They cannot take what the "
        "step computes, nor can other layers take text.",
    ),
    # ----------------------------------------------------------------------------- data
    "RV201": (
        "inputs are not scaled",
        "Large raw values (pixels 0 .. 255, incomes) saturate activations and make "
        "one learning rate unfit for all weights. Divide, or put `Rescaling(1/255)` "
        "or `Normalization()` first in the model so that predict does the same.",
    ),
    "RV202": (
        "data prepared unlike the training data",
        "The range of this data differs from the range seen in `fit`, as when a "
        "division by 255 was forgotten on one side. Predictions will be near chance.",
    ),
    "RV203": (
        "data of a type that cannot be used",
        "A network computes with numbers. Text, objects and ragged lists must be "
        "encoded first: categories as integers or one-hot columns, dates as numbers.",
    ),
    "RV204": (
        "a non-finite value in the data",
        "A NaN or infinity in x or y spreads to every weight in one step. The message "
        "gives the first row and column. Fill or drop such rows, or pass "
        "`allow_nan=True` if they are meant.",
    ),
    "RV205": (
        "the validation rows are not representative",
        "`validation_split` takes the last rows, before shuffling, as in Keras. When "
        "the data are sorted by class, these rows hold only some classes.",
    ),
    "RV206": (
        "classes are imbalanced",
        "When one class is rare, always answering the other scores a high accuracy. "
        "Look at recall, precision and the area under the PR curve; use "
        "`class_weight`.",
    ),
    "RV207": (
        "empty data",
        "There is no row to train on, evaluate or predict: an array of length zero, "
        "or a `validation_split` that leaves nothing on one side.",
    ),
    # ------------------------------------------------------------------------- numerics
    "RV301": (
        "the loss became non-finite",
        "The loss is NaN or infinite. Usual causes: a learning rate that is too high, "
        "unscaled inputs, a logarithm of zero in a loss of one's own. The step is not "
        "written: the weights are those before it. The message names the operation "
        "where it began, found by running that batch again. A gradient that divides by "
        "zero is told in the same way, although its loss is finite. With the callback "
        "`TerminateOnNaN` training ends without an error, as in Keras; with "
        "`fit(allow_nan=True)` it goes on.",
    ),
    "RV302": (
        "training got worse until it failed",
        "The command ended because training diverged; the last good model was kept.",
    ),
    "RV303": (
        "an operation has no gradient",
        "The loss depends on a weight only through an operation whose derivative does "
        "not exist or is zero everywhere, such as argmax or rounding, or it was "
        "computed outside of ranvier, in NumPy. Use a smooth stand-in written with "
        "`ranvier.ops`, or `ops.stop_gradient` where no gradient is meant.",
    ),
    # ------------------------------------------------------------------------ behaviour
    "RV401": (
        "a second fit continues the first",
        "`fit` starts from the present weights and optimizer state. "
        "`model.reset(seed=...)` starts afresh.",
    ),
    "RV402": (
        "two runs differ",
        "Runs with the same seed, data, versions and machine instruction set give the "
        "same bits. The message names what differed.",
    ),
    "RV403": (
        "a sample of the data set is used",
        "Neither a copy of the data set was found on this machine nor could one be "
        "downloaded, so the sample inside the package is used: real images, but "
        "fewer, so accuracy is a few points lower. The message says how to get all of "
        "them.",
    ),
    "RV404": (
        "the data ran out",
        "An iterable gave fewer batches than `steps_per_epoch`, or a generator, which "
        "can be gone through once, ended before the last epoch. Training stopped there; "
        "what was learned is kept.",
    ),
    "RV405": (
        "a mask ends at a layer",
        "The input says which steps of a sequence count (`Masking`, `Embedding("
        "mask_zero=True)`), and this layer does not pass that on: behind it, the loss "
        "included, every step counts. A layer of one's own passes masks on with "
        "`self.supports_masking = True`, or by a `compute_mask` of its own.",
    ),
    "RV406": (
        "a limit for dry runs holds",
        "`keras.config.set_max_epochs` or `set_max_steps_per_epoch`, or the variable "
        "`RANVIER_MAX_EPOCHS` or `RANVIER_MAX_STEPS_PER_EPOCH`, ends training before "
        "the program's own numbers. It is meant to see whether a program runs at all; "
        "what it learns that way is worth nothing.",
    ),
    # ---------------------------------------------------------------------- performance
    "RV501": (
        "a callback runs between batches",
        "A callback with a per-batch hook makes the engine return to Python at every "
        "batch, which costs more than a small network's whole step.",
    ),
    "RV502": (
        "an engine cannot run an operation",
        "The chosen engine has no kernel for an operation of this model and nothing "
        "is run on another engine behind your back. `RANVIER_ENGINE=reference` has "
        "all operations, slowly.",
    ),
    "RV503": (
        "a metric or loss runs in Python",
        "A metric or loss needs numbers while the step is traced, so it cannot run "
        "inside the compiled step: it is called from Python on every batch, which is "
        "slower; for a loss the whole step runs on the reference engine, since its "
        "gradient differs from batch to batch. Written with `ranvier.ops` it runs at "
        "full speed.",
    ),
    # ---------------------------------------------------------------------------- files
    "RV601": (
        "a model file cannot be loaded",
        "The file is damaged, truncated, not a Keras v3 file, or names a class that "
        "ranvier does not know. Loading never runs code from the file: classes of "
        "one's own are passed as `custom_objects`.",
    ),
    "RV602": (
        "a data file is damaged",
        "The file is truncated, has another size than its header says, or its SHA-256 "
        "is not the expected one. Delete it: it will be fetched again.",
    ),
    "RV603": (
        "a file cannot be written",
        "The folder is missing, read-only or full. Files are written under a "
        "temporary name and renamed, so an older file of that name is still whole.",
    ),
    "RV604": (
        "an archive is unsafe",
        "A member of the archive would be written outside the target folder, or is a "
        "link or a device. Nothing was unpacked.",
    ),
    "RV605": (
        "a file cannot be read",
        "There is no such file, it is not readable, or it is not of the kind "
        "expected, for example a text file given as an image.",
    ),
    "RV606": (
        "nothing trained on ImageNet is shipped",
        "Weights trained on ImageNet, and the list of its classes, are hundreds of "
        "megabytes of other people's work: they neither come with ranvier nor are "
        "downloaded behind your back. The files that Keras publishes can be loaded: "
        "the message says where they are; give the path as `weights=path` or "
        "`class_index=path`. `weights=None` starts from random weights.",
    ),
    # ------------------------------------------------------------------------- resuming
    "RV701": (
        "a run cannot be resumed",
        "The run folder is missing, has no saved model yet, was written by a newer "
        "version, or has already reached its number of epochs.",
    ),
    # ---------------------------------------------------------------------- environment
    "RV801": (
        "an optional package is missing",
        "This feature needs a package that is not installed. The message has the "
        "exact pip line.",
    ),
    "RV802": (
        "a download failed",
        "The network cannot be reached, the server refused, or RANVIER_OFFLINE is "
        "set. The message says where to put the file by hand.",
    ),
    "RV803": (
        "an environment variable has a bad value",
        "A RANVIER_* variable cannot be understood. `ranvier doctor` lists them all.",
    ),
    "RV804": (
        "the native engine is missing",
        "The compiled module `ranvier._native` is not there or does not fit this "
        "interpreter. Install the package with `pip install .`, with g++ and the "
        "Python headers present (`apt install g++ python3-dev`).",
    ),
    "RV805": (
        "out of memory",
        "The machine has not enough memory for this step. A smaller batch or fewer "
        "units need less. Nothing was written.",
    ),
    "RV806": (
        "a part of Keras or TensorFlow that is not here",
        "With `import ranvier.as_keras`, the names `keras` and `tensorflow.keras` "
        "stand for ranvier. Parts of TensorFlow outside tf.keras, and private modules "
        "such as keras.src, are not provided.",
    ),
    # ------------------------------------------------------------------------- internal
    "RV901": (
        "a fault of ranvier itself",
        "Something that must hold did not. Please report it with the message and the "
        "output of `ranvier doctor`.",
    ),
    "RV902": (
        "a graph is not well formed",
        "A pass over the graph left it in a state that cannot be. It is found only "
        "with RANVIER_VERIFY=1, which tests set; it is always a fault of ranvier.",
    ),
    "RV903": (
        "two workers of a plan meet in memory",
        "A plan of the native engine lets one worker write bytes that another one "
        "touches, with no wait between. It is found only with RANVIER_VERIFY=1, which "
        "tests set; it is always a fault of ranvier.",
    ),
}
