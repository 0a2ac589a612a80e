"""One small study in a real SQLite MLflow and its analysis, shared by the session."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.run import Analysis, analyze
from phitune.analysis.results import StudyRef
from tests.analysis.synthetic_study import Recipe, write_study

STUDY = "made"
SMALL = {"uba": 20, "others": 3, "replicates": 2}
RECIPES = [
    *(Recipe(100, 1.0, budget, **SMALL) for budget in (50, 100, 200, 400)),
    Recipe(10, 1.0, 60, full_budget=240, **SMALL),
    Recipe(10, 1.0, 120, full_budget=240, **SMALL),
    Recipe(100, 0.1, 60, uba=4, others=1, stop=False, replicates=0),
]


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """Threads of the BLAS make fits to small matrices many times slower on a busy machine."""
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyRef:
    """A synthetic study, with an output directory as `search` leaves it."""
    root = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{root / 'mlflow.db'}"
    write_study(uri, STUDY, RECIPES)
    out = root / "runs" / STUDY
    out.mkdir(parents=True)
    (out / "study.json").write_text(json.dumps({"name": STUDY, "tracking_uri": uri}))
    (out / "study.yaml").write_text("name: made\nspace: {phi: [0.05, 50]}\n")
    return StudyRef(STUDY, uri, out)


@pytest.fixture(scope="session")
def analysis(study: StudyRef) -> Analysis:
    """The study's analysis, with its report in the study's output directory."""
    assert study.out_dir is not None
    return analyze(str(study.out_dir), date="2026-01-01")


@pytest.fixture(scope="session")
def guidelines(analysis: Analysis) -> Guidelines:
    """The study's conclusions."""
    return analysis.guidelines


@pytest.fixture(scope="session")
def guidelines_file(analysis: Analysis) -> Path:
    """The study's guidelines.json."""
    return analysis.out / "guidelines.json"
