"""The recommendation as code to copy: PyTorch, and the callbacks of `phitune.integrations`."""

from collections.abc import Mapping
from typing import Any

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import from_dict
from phitune.trainables.spec import Spec

# Class and fixed arguments of the optimizers by the names that a study file uses.
OPTIMIZERS = {
    "sgd": ("torch.optim.SGD", ""),
    "adam": ("torch.optim.Adam", ""),
    "adamw": ("torch.optim.AdamW", ""),
    "amsgrad": ("torch.optim.Adam", ", amsgrad=True"),
    "schedulefree-sgd": ("schedulefree.SGDScheduleFree", ""),
    "schedulefree-adamw": ("schedulefree.AdamWScheduleFree", ""),
}


def snippets(values: Mapping[str, Any], optimizer: str, base_lr: float, budget: int) -> dict[str, str]:
    """Code by library. It leaves the model, the data and a Lightning module to the user.

    A family whose LR follows the losses of the run has none for trainers, whose callbacks do not take it.

    Args:
        values: The schedule, as `Schedule.to_dict` gives it.
        optimizer: Its label, such as "sgd(momentum=0.95)".
        base_lr: The base LR.
        budget: In iterations.
    """
    schedule, lr = _schedule(values), f"{base_lr:.4g}"
    make = _optimizer(optimizer, lr)
    closed_loop = len(from_dict(values).check_steps(budget)) > 0
    step = "scheduler.step(validation_loss) after every check" if closed_loop else "scheduler.step()"
    torch = f"""\
import {make.split(".")[0]}
from phitune import schedule

optimizer = {make}  # other options: as searched
scheduler = {schedule}.lr_scheduler(optimizer, horizon={budget})
# in the loop, after every optimizer.step(): {step}
"""
    if closed_loop:
        return {"PyTorch": torch}
    transformers = f"""\
import {make.split(".")[0]}
from transformers import Trainer, TrainingArguments
from phitune import schedule
from phitune.integrations.transformers import ScheduleCallback

optimizer = {make}  # other options: as searched
callback = ScheduleCallback({schedule})
args = TrainingArguments("out", max_steps={budget})
trainer = Trainer(model, args, train_dataset=data, optimizers=(optimizer, None), callbacks=[callback])
trainer.train()
"""
    lightning = f"""\
from lightning.pytorch import Trainer
from phitune import schedule
from phitune.integrations.lightning import ScheduleCallback

# configure_optimizers of the module returns the optimizer alone, without a scheduler
callback = ScheduleCallback({schedule}, base_lr={lr})
trainer = Trainer(max_steps={budget}, max_epochs=-1, callbacks=[callback])
trainer.fit(module, batches)
"""
    return {"PyTorch": torch, "Transformers": transformers, "Lightning": lightning}


def _schedule(values: Mapping[str, Any]) -> str:
    """The call that builds a schedule, with the arguments that are not its defaults."""
    shown = from_dict(values).described()
    arguments = [f", {key}={_literal(value)}" for key, value in values.items() if key in shown]
    return f"schedule({_literal(values['family'])}{''.join(arguments)})"


def _literal(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def _optimizer(label: str, lr: str) -> str:
    """The call that builds an optimizer; a made-up class for one that a study file does not know."""
    try:
        spec = Spec.parse(label)
    except InputError:
        spec = Spec(label)
    kind, fixed = OPTIMIZERS.get(spec.name, ("yours.Optimizer", ""))
    options = dict(spec.items)
    if "beta1" in options or "beta2" in options:
        options["betas"] = (options.pop("beta1", 0.9), options.pop("beta2", 0.999))  # type: ignore[assignment]
    more = "".join(f", {key}={_literal(value)}" for key, value in options.items())
    return f"{kind}(model.parameters(), lr={lr}{fixed}{more})"
