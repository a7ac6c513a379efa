"""The well-known first program, on a few thousand small images.

    python examples/basic_classification.py

Uses the sample of Fashion-MNIST in the package when the whole set is not at hand.
"""

from __future__ import annotations

import ranvier as keras


def main(rows: int = 5000, epochs: int = 5) -> None:
    """Train 784-128-10, evaluate it, and look at one prediction."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"]
    names += ["Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
    model = keras.Sequential(
        [
            keras.layers.Flatten(input_shape=(28, 28)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x[:rows] / 255.0, y[:rows], epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(x_test[:1000] / 255.0, y_test[:1000], verbose=0)
    classifier = keras.Sequential([model, keras.layers.Softmax()])
    first = classifier.predict(x_test[:1] / 255.0, verbose=0)[0]
    print(f"test accuracy {accuracy:.3f}")
    print(f"the first image: {names[first.argmax()]} ({first.max():.2f})")
    print(f"it is labelled:  {names[y_test[0]]}")


if __name__ == "__main__":
    main()
