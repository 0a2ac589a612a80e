"""A training script as people have them: it knows nothing of phitune. ``python train.py`` runs it in seconds."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Waves(Dataset):
    """Waves of one of four shapes, at random pitch, in noise; for training they are cut out at a random place."""

    def __init__(self, count, seed, crop):
        dice = torch.Generator().manual_seed(seed)
        self.shapes = torch.arange(count) % 4
        self.crop = crop
        pitch = 1 + 3 * torch.rand(count, 1, generator=dice)
        time = 2 * math.pi * (pitch * torch.linspace(0, 1, 96) + torch.rand(count, 1, generator=dice))
        sine = torch.sin(time)
        kinds = torch.stack([sine, sine.sign(), 2 / math.pi * torch.asin(sine), (time / math.pi) % 2 - 1])
        self.waves = kinds[self.shapes, torch.arange(count)] + 0.3 * torch.randn(count, 96, generator=dice)

    def __len__(self):
        return len(self.shapes)

    def __getitem__(self, index):
        start = int(torch.randint(0, 32, ())) if self.crop else 16
        return self.waves[index, None, start : start + 64], self.shapes[index]


class Listener(nn.Module):
    """Two convolutions and a linear layer."""

    def __init__(self, channels=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(1, channels, 9, stride=2),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 9, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(4),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(4 * channels, 4),
        )

    def forward(self, waves):
        return self.layers(waves)


def accuracy(model, dataset):
    model.eval()
    with torch.no_grad():
        right = sum((model(waves).argmax(-1) == shapes).sum() for waves, shapes in DataLoader(dataset, batch_size=500))
    return float(right) / len(dataset)


def main():
    torch.manual_seed(0)
    model = Listener()
    train, test = Waves(1000, seed=1, crop=True), Waves(500, seed=2, crop=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    for epoch in range(10):
        model.train()
        for waves, shapes in DataLoader(train, batch_size=50, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(waves), shapes).backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: accuracy {accuracy(model, test):.3f}")


if __name__ == "__main__":
    main()
