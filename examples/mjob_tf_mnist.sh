#!/bin/bash
# Train a small network on MNIST with TensorFlow, in a container of NGC on one GPU, on whichever system has one.
# The network comes back as mnist.keras. What project and resource are called on your systems: names.toml.
#   cloudqcli submit --script examples/mjob_tf_mnist.sh
#$ project: my_project
#$ resource: gpu
#$ n_resource: 1
#$ walltime: 30m
#$ container_img: docker://nvcr.io/nvidia/tensorflow:24.01-tf2-py3

set -eu

# The images of the digits are no result: they go when the job ends.
mkdir -p data
trap 'rm -r data' EXIT

cat > train.py <<'PYTHON'
import sys

import tensorflow as tf

data, epochs = sys.argv[1], int(sys.argv[2])
print(f"TensorFlow {tf.__version__} on {tf.config.list_physical_devices('GPU') or 'CPU'}", flush=True)

(images, digits), (test_images, test_digits) = tf.keras.datasets.mnist.load_data(f"{data}/mnist.npz")
model = tf.keras.Sequential([
    tf.keras.layers.Reshape((28, 28, 1)),
    tf.keras.layers.Rescaling(1 / 255),
    tf.keras.layers.Conv2D(16, 3, activation="relu"),
    tf.keras.layers.MaxPooling2D(),
    tf.keras.layers.Conv2D(32, 3, activation="relu"),
    tf.keras.layers.MaxPooling2D(),
    tf.keras.layers.Flatten(),
    tf.keras.layers.Dense(10),
])
loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
model.fit(images, digits, batch_size=128, epochs=epochs, verbose=2)

_, accuracy = model.evaluate(test_images, test_digits, verbose=0)
model.save("mnist.keras")
print(f"{accuracy:.2%} of {len(test_digits)} digits recognised")
sys.exit(0 if accuracy > 0.95 else "fewer than 95 %: something is wrong")
PYTHON

cq_container_run "$CONTAINER_IMG0" python3 train.py "$PWD/data" 3
