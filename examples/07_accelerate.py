"""A linear model of handwritten digits in a loop of accelerate: two processes, each accumulating two batches.

python 07_accelerate.py trains one schedule; phitune search study.yaml searches for the best.
"""

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split

import phitune


def train(trial: phitune.Trial, processes: int = 2) -> None:
    phitune.spawn(trial, train_process, processes=processes)


def train_process(trial: phitune.Trial) -> None:
    digits = load_digits()
    pairs = TensorDataset(torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target))
    training, validation = random_split(pairs, [1500, 297], torch.Generator().manual_seed(0))
    accelerator = Accelerator(cpu=trial.device == "cpu", gradient_accumulation_steps=2)
    model = torch.nn.Linear(64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)  # the trial sets the LR
    # Not prepared: accelerate would step it once for each process.
    scheduler = trial.lr_scheduler(optimizer)
    batches = DataLoader(training, batch_size=16, shuffle=True)
    model, optimizer, batches = accelerator.prepare(model, optimizer, batches)
    inputs, targets = (torch.stack(column).to(accelerator.device) for column in zip(*validation, strict=True))
    step = 0
    while step < trial.budget:
        for batch, labels in batches:
            with accelerator.accumulate(model):
                accelerator.backward(cross_entropy(model(batch), labels))
                optimizer.step()
                optimizer.zero_grad()
            if not accelerator.sync_gradients:
                continue
            scheduler.step()
            step += 1
            if trial.due(step):
                with torch.no_grad():
                    loss = cross_entropy(model(inputs), targets)
                if not trial.report(step, val_loss=loss):
                    return
            if step == trial.budget:
                return


if __name__ == "__main__":
    trial = phitune.trial("07_accelerate:train", phi=2.0, base_lr=0.3, budget=200)
    for point in trial.run():
        print(f"step {point['step']}: loss {point['val_loss']:.3f}")
