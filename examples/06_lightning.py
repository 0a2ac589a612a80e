"""A linear model of handwritten digits in Lightning.

python 06_lightning.py trains one schedule; phitune search study.yaml searches for the best.
"""

import torch
from lightning.pytorch import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import phitune
from phitune.integrations.lightning import TrialCallback

digits = load_digits()
pairs = TensorDataset(torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target))


class Digits(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Linear(64, 10)

    def training_step(self, batch, index):
        return cross_entropy(self.model(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.log("val_loss", cross_entropy(self.model(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0, momentum=0.9)  # the trial sets the LR


def train(trial: phitune.Trial) -> None:
    training, validation = torch.utils.data.random_split(pairs, [1500, 297], torch.Generator().manual_seed(0))
    callback = TrialCallback(trial)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        accelerator="cpu" if trial.device == "cpu" else "gpu",
        devices=1,
        max_steps=trial.budget,
        max_epochs=-1,
        callbacks=[callback],
        default_root_dir=trial.directory,
        **quiet,
    )
    batches = DataLoader(training, batch_size=32, shuffle=True)
    trainer.fit(Digits(), batches, DataLoader(validation, batch_size=297), ckpt_path=callback.checkpoint())


if __name__ == "__main__":
    trial = phitune.trial("06_lightning:train", phi=2.0, base_lr=0.3, budget=200)
    for point in trial.run():
        print(f"step {point['step']}: loss {point['val_loss']:.3f}")
