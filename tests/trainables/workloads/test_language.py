"""The GPT against what it claims to be; the text it reads; its loss and metric."""

import math
import sysconfig
from pathlib import Path

import pytest
import torch
from torch import nn

from phitune.trainables.errors import InputError
from phitune.trainables.models.gpt import Gpt as GptModel
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.data.text import split_text, text_files
from phitune.trainables.workloads.language import Gpt, _files


def model(layers: int = 2, width: int = 32, heads: int = 4, context: int = 16) -> GptModel:
    torch.manual_seed(0)
    return GptModel(layers, width, heads, context, vocabulary=50)


def text(path: Path) -> Gpt:
    built = workload(Spec.of({"name": "gpt-nano/text", "path": str(path)}))
    assert isinstance(built, Gpt)
    return built


def test_a_prediction_knows_what_came_before_and_nothing_of_what_follows() -> None:
    network = model()
    tokens = torch.randint(50, (3, 16))
    changed = tokens.clone()
    changed[:, 9] = (changed[:, 9] + 1) % 50
    with torch.no_grad():
        difference = (network(tokens) - network(changed)).abs().amax((0, 2))
    assert difference[:9].max() == 0
    assert difference[9:].min() > 1e-6


def test_attention_is_the_textbook_s() -> None:
    """softmax(Q Kᵀ / √d + mask) V, head by head, against the block's own."""
    attention = model().blocks[0].attention  # type: ignore[union-attr]
    stream = torch.randn(2, 16, 32)
    query, key, value = attention.into(stream).split(32, dim=-1)  # type: ignore[union-attr, operator]
    heads = []
    for head in range(4):
        q, k, v = (part[..., 8 * head : 8 * head + 8] for part in (query, key, value))
        scores = (q @ k.transpose(1, 2) / math.sqrt(8)).masked_fill(torch.ones(16, 16).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(-1) @ v)
    expected = attention.out(torch.cat(heads, dim=-1))  # type: ignore[union-attr, operator]
    torch.testing.assert_close(attention(stream), expected, rtol=1e-4, atol=1e-6)  # type: ignore[operator]


def test_starts_as_gpt_2_does() -> None:
    network = model(layers=8, width=128)
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2:
            assert (parameter == (0 if name.endswith("bias") else 1)).all(), name
        else:
            residual = name.endswith(("out.weight", "mlp.2.weight"))
            assert float(parameter.detach().std()) == pytest.approx(0.02 / 4 if residual else 0.02, rel=0.1), name
    logits = network(torch.randint(50, (4, 16)))
    assert float(nn.functional.cross_entropy(logits.flatten(0, 1), torch.randint(50, (64,)))) == pytest.approx(
        math.log(50), rel=0.05
    )


def test_output_layer_is_the_embedding() -> None:
    network = model(layers=1, width=8, heads=2, context=4)
    block = 3 * 8 * 8 + 3 * 8 + 8 * 8 + 8 + 2 * 4 * 8 * 8 + 4 * 8 + 8 + 4 * 8
    assert sum(p.numel() for p in network.parameters()) == 50 * 8 + 4 * 8 + block + 2 * 8


def test_biases_and_gains_do_not_decay() -> None:
    from phitune.trainables.workloads.learning.torch_learner import TorchLearner

    learner = workload(Spec("gpt-nano/stdlib")).learner(Spec("adamw"), 0, 1)
    assert isinstance(learner, TorchLearner)
    decayed, free = learner.optimizer.param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in free["params"]} == {1}


def test_metric_is_the_loss_in_bits() -> None:
    evaluation = workload(Spec("gpt-nano/stdlib")).learner(Spec("sgd"), 0, 1).evaluate("val")
    assert evaluation.metric == pytest.approx(evaluation.loss / math.log(2), rel=1e-6)
    assert evaluation.metric == pytest.approx(8.0, abs=0.2)


@pytest.mark.full
def test_learns_text_that_repeats(tmp_path: Path) -> None:
    """Its letters alone have an entropy of 3.5 bits; only with what came before can it be less than half."""
    (tmp_path / "book.txt").write_text("to be or not to be, that is the question. " * 600, encoding="utf-8")
    learner = text(tmp_path).learner(Spec("adamw"), 0, 150)
    for step in range(150):
        learner.step(0.01 * (1 - step / 150))
    assert learner.evaluate("test").metric < 1.75


def test_targets_are_the_next_bytes_and_windows_come_from_their_split(tmp_path: Path) -> None:
    """Bytes that count from 1 to 251: a target is its input's successor, which tells its place in the file."""
    content = bytes(1 + place % 251 for place in range(40_000))
    (tmp_path / "count").write_bytes(content)
    built = text(tmp_path / "count")
    inputs, targets = built.batch(0, 0, "cpu")
    assert inputs.shape == targets.shape == (8, 64)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert torch.equal(targets, inputs % 251 + 1)
    first = {split: next(iter(built.chunks(split, "cpu")))[0][0, 0] for split in ("train", "val", "test")}
    assert [int(first[split]) for split in ("train", "val", "test")] == [
        content[0],
        content[40_001 * 90 // 100],
        content[40_001 * 95 // 100],
    ]


def test_what_is_evaluated_is_bounded_spread_and_the_same_always() -> None:
    built = workload(Spec("gpt-nano/stdlib"))
    assert isinstance(built, Gpt)
    once, again = (torch.cat([targets for _, targets in built.chunks("val", "cpu")]) for _ in range(2))
    assert torch.equal(once, again)
    assert once.numel() == 2**14


def test_files_are_split_by_name_whatever_else_there_is(tmp_path: Path) -> None:
    for number in range(200):
        file = tmp_path / f"folder{number % 3}" / f"{number}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"<{number}>" * 20, encoding="utf-8")
    splits = split_text(tmp_path, text_files(tmp_path))
    contents = {name: set(bytes(data.numpy()).split(b"\0")) - {b""} for name, data in splits.items()}
    assert sum(map(len, contents.values())) == len(set.union(*contents.values())) == 200
    assert len(contents["train"]) > 160
    assert min(len(contents["val"]), len(contents["test"])) > 2

    for number in range(0, 200, 2):
        (tmp_path / f"folder{number % 3}" / f"{number}.txt").unlink()
    for name, data in split_text(tmp_path, text_files(tmp_path)).items():
        assert set(bytes(data.numpy()).split(b"\0")) - {b""} < contents[name]


def test_hidden_files_and_what_is_no_text_are_left_out(tmp_path: Path) -> None:
    for name in ("a.txt", ".hidden", "picture.bin", ".git/config", "below/b.py", "left/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\1" if name.endswith("bin") else name.encode())
    names = [file.relative_to(tmp_path).as_posix() for file in text_files(tmp_path, excluded=frozenset({"left"}))]
    assert names == ["a.txt", "picture.bin", "below/b.py"]
    whole = b"".join(bytes(data.numpy()) for data in split_text(tmp_path, text_files(tmp_path)).values())
    assert sorted(whole.split(b"\0")) == sorted([b"", b"a.txt", b"below/b.py", b"left/c.py"])
    assert [file.name for file in text_files(tmp_path, ".py")] == ["b.py", "c.py"]


def test_the_standard_library_is_there_and_nothing_that_was_installed() -> None:
    root = Path(sysconfig.get_paths()["stdlib"])
    files = list(_files(root, stdlib=True))
    assert len(files) > 500
    assert not [file for file in files if "site-packages" in file.parts or "__pycache__" in file.parts]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", r"workloads\.gpt-nano/text\.path: '' is not allowed; it must be a file of text or a folder"),
        ("nowhere", r"workloads\.gpt-nano/text\.path: 'nowhere' is not allowed; there is no such file"),
    ],
)
def test_missing_text_is_refused_before_a_search_starts(path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        workload(Spec.of({"name": "gpt-nano/text", "path": path})).check(Spec("sgd"))


def test_an_empty_folder_too_little_text_and_a_path_for_the_library_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="or none in it"):
        text(tmp_path).check(Spec("sgd"))
    (tmp_path / "short.txt").write_text("too short", encoding="utf-8")
    with pytest.raises(InputError, match=r"path: .* must be more than the model's context of 64"):
        text(tmp_path / "short.txt").learner(Spec("sgd"), 0, 1).step(0.1)
    with pytest.raises(InputError, match=r"gpt-nano/stdlib\.path: 'x' is not allowed; only text takes a path"):
        workload(Spec.of({"name": "gpt-nano/stdlib", "path": "x"}))
