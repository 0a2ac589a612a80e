"""Your own training loop as a workload: example 01 as a function that takes a trial.

python 03_own_loop.py trains one schedule; phitune search 03_own_loop.yaml searches for the best one.
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import phitune

columns = train_test_split(*load_digits(return_X_y=True), test_size=297, random_state=0)
images, val_images, labels, val_labels = map(torch.tensor, columns)
images, val_images = images.float() / 16, val_images.float() / 16


def train(trial: phitune.Trial, width: int = 64) -> None:
    model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10)).to(trial.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)  # the trial sets the LR
    scheduler = trial.lr_scheduler(optimizer)
    # Three lines for exact resume: these, and `trial.save` at the end of the loop. They may be left out.
    if state := trial.restore():
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    for step in range(trial.start, trial.budget):
        batch = torch.randint(1500, (64,))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images[batch].to(trial.device)), labels[batch].to(trial.device))
        loss.backward()
        optimizer.step()
        scheduler.step()
        if trial.due(step + 1) and not trial.report(step + 1, train_loss=loss, **validation(model, trial.device)):
            return
        trial.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()})


def validation(model: nn.Module, device: str) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        outputs = model(val_images.to(device)).cpu()
    accuracy = (outputs.argmax(-1) == val_labels).float().mean()
    return {"val_loss": nn.functional.cross_entropy(outputs, val_labels), "val_metric": accuracy}


if __name__ == "__main__":
    trial = phitune.trial("03_own_loop:train", phi=2.0, base_lr=0.2, budget=300)
    for point in trial.run():
        print(f"step {point['step']}: loss {point['val_loss']:.3f}, accuracy {point['val_metric']:.3f}")
