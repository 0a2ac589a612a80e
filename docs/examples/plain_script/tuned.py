"""train.py's loop as a workload: its `main` with the lines that ask for the LR and report."""

import torch
import train
from torch import nn
from torch.utils.data import DataLoader

import phitune


def tune(trial: phitune.Trial, channels: int = 8) -> None:
    model = train.Listener(channels).to(trial.device)
    data, validation = train.Waves(1000, seed=1, crop=True), train.Waves(500, seed=3, crop=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    scheduler = trial.lr_scheduler(optimizer)
    step = 0
    while step < trial.budget:
        for waves, shapes in DataLoader(data, batch_size=50, shuffle=True):
            model.train()
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(waves.to(trial.device)), shapes.to(trial.device))
            loss.backward()
            optimizer.step()
            scheduler.step()
            step += 1
            if trial.due(step) and not trial.report(step, train_loss=loss, **measured(model, validation)):
                return
            if step == trial.budget:
                break


def measured(model: nn.Module, dataset: train.Waves) -> dict[str, float]:
    waves, shapes = next(iter(DataLoader(dataset, batch_size=len(dataset))))
    model.eval()
    with torch.no_grad():
        answers = model(waves.to(next(model.parameters()).device)).cpu()
    right = (answers.argmax(-1) == shapes).float().mean()
    return {"val_loss": float(nn.functional.cross_entropy(answers, shapes)), "val_metric": float(right)}
