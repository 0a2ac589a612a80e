"""A small vision transformer learns handwritten digits in Hugging Face's Trainer.

python 05_transformers.py trains one schedule; phitune search study.yaml searches for the best.
"""

from sklearn.datasets import load_digits
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification

import phitune
from phitune.integrations.transformers import TrialCallback

images, labels = (column.astype(kind) for column, kind in zip(load_digits(return_X_y=True), "fl", strict=True))
rows = [{"pixel_values": x.reshape(1, 8, 8) / 16, "labels": y} for x, y in zip(images, labels, strict=True)]


def accuracy(result):
    return {"accuracy": (result.predictions.argmax(-1) == result.label_ids).mean()}


def train(trial: phitune.Trial, width: int = 32) -> None:
    shape = {"image_size": 8, "patch_size": 2, "num_channels": 1, "num_labels": 10}
    size = {"hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 2 * width}
    model = ViTForImageClassification(ViTConfig(**shape, **size))  # or ViTForImageClassification.from_pretrained(...)
    callback = TrialCallback(trial, metric="eval_accuracy")
    more = {
        "per_device_train_batch_size": 32,
        "save_steps": 100,
        "disable_tqdm": True,
        "use_cpu": trial.device == "cpu",
    }
    args = TrainingArguments(trial.directory, max_steps=trial.budget, seed=trial.seed, **more)
    trainer = Trainer(model, args, None, rows[:1500], rows[1500:], compute_metrics=accuracy, callbacks=[callback])
    trainer.train(resume_from_checkpoint=callback.checkpoint())


if __name__ == "__main__":
    trial = phitune.trial("05_transformers:train", phi=2.0, base_lr=3e-3, budget=200)
    for point in trial.run():
        print(f"step {point['step']}: loss {point['val_loss']:.3f}, accuracy {point['val_metric']:.3f}")
