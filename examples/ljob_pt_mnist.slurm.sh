#!/bin/bash
# Train a small network on MNIST with PyTorch, in a container of NGC on one GPU of a Slurm cluster that has Apptainer.
# The network comes back as mnist.pt.
#   cloudqcli submit --script examples/ljob_pt_mnist.slurm.sh --submit_to YOUR_SYSTEM
#SBATCH --nodes=1
#SBATCH --gpus=1
#SBATCH --time=0:30:00

set -eu

# The images of the digits are no result: they go when the job ends.
mkdir -p data
trap 'rm -r data' EXIT

cat > train.py <<'PYTHON'
import sys

import torch
from torch import nn
from torchvision import datasets, transforms

data, epochs = sys.argv[1], int(sys.argv[2])
device = "cuda" if torch.cuda.is_available() else "cpu"
print(f"PyTorch {torch.__version__} on {device}", flush=True)


def batches(train):
    images = datasets.MNIST(data, train=train, download=True, transform=transforms.ToTensor())
    return torch.utils.data.DataLoader(images, batch_size=128, shuffle=train)


model = nn.Sequential(
    nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(32 * 5 * 5, 10),
).to(device)
optimiser = torch.optim.Adam(model.parameters())
for epoch in range(1, epochs + 1):
    for images, digits in batches(train=True):
        loss = nn.functional.cross_entropy(model(images.to(device)), digits.to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"epoch {epoch}: last loss {loss.item():.4f}", flush=True)

right = seen = 0
with torch.no_grad():
    for images, digits in batches(train=False):
        right += (model(images.to(device)).argmax(dim=1) == digits.to(device)).sum().item()
        seen += len(digits)
torch.save(model.state_dict(), "mnist.pt")
print(f"{right} of {seen} digits recognised")
sys.exit(0 if right > 0.95 * seen else "fewer than 95 %: something is wrong")
PYTHON

apptainer exec --nv --bind "$PWD" docker://nvcr.io/nvidia/pytorch:24.01-py3 \
    python3 train.py "$PWD/data" 3
