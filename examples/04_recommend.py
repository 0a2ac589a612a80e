"""What a finished study recommends, in a training loop. Run it where example 02 was run and analysed.

python 04_recommend.py
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from phitune import recommend


def main() -> None:
    best = recommend("mlp/digits", "20%")  # per cent of the workload's full budget, or iterations
    print(best)
    columns = train_test_split(*load_digits(return_X_y=True), test_size=297, random_state=0)
    images, val_images, labels, val_labels = map(torch.tensor, columns)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=best.base_lr, momentum=0.9, weight_decay=5e-4)
    scheduler = best.schedule.lr_scheduler(optimizer, horizon=best.budget)
    for _ in range(best.budget):
        batch = torch.randint(1500, (128,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch].float() / 16), labels[batch]).backward()
        optimizer.step()
        scheduler.step()
    right = (model(val_images.float() / 16).argmax(-1) == val_labels).float().mean()
    print(f"after {best.budget} iterations with it: accuracy {right:.3f}")


if __name__ == "__main__":
    main()
