"""A schedule in a plain PyTorch loop: it takes the place of torch's own scheduler.

python 01_schedules.py
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from phitune import schedule

BUDGET = 300
columns = train_test_split(*load_digits(return_X_y=True), test_size=297, random_state=0)
images, val_images, labels, val_labels = map(torch.tensor, columns)
images, val_images = images.float() / 16, val_images.float() / 16


def main() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)  # 0.2 is the base LR
    # Five per cent of warmup, then UBA's decay from the base LR to zero at step 300.
    scheduler = schedule("uba", phi=2.0, warmup=0.05).lr_scheduler(optimizer, horizon=BUDGET)
    for step in range(BUDGET):
        batch = torch.randint(1500, (64,))
        lr = scheduler.get_last_lr()[0]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
        scheduler.step()
        if step % 50 == 49:
            with torch.no_grad():
                loss = nn.functional.cross_entropy(model(val_images), val_labels)
            print(f"step {step + 1}: LR {lr:.4f}, loss {loss:.3f}")


if __name__ == "__main__":
    main()
