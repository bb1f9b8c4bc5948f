"""Who does the work that one process does, where several were started."""

from __future__ import annotations

import os

import pytest

from reglab.cluster import Cluster, cluster_from_environment
from reglab.cluster.alone import check_alone, is_the_one
from reglab.config import Config, ConfigError
from reglab.runs.__main__ import main as runs
from tests.cluster.test_slurm import BATCH, CPU_STEP, INTERACTIVE, PTY

THREE = tuple(f"localhost:{port}" for port in (5000, 5001, 5002))


def in_tf_config(index: int) -> dict[str, str]:
    return {"TF_CONFIG": Cluster(THREE, index, "TF_CONFIG").tf_config()}


def in_slurm(index: int) -> dict[str, str]:
    return CPU_STEP | [{"SLURM_PROCID": "0", "SLURM_NODEID": "0"}, {"SLURM_PROCID": "1", "SLURM_NODEID": "1"},
                       {"SLURM_PROCID": "2", "SLURM_NODEID": "2"}][index]


@pytest.fixture
def environment(monkeypatch):
    """A function that adds variables to the environment of this process."""
    def add(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
    return add


@pytest.mark.parametrize("of", [in_tf_config, in_slurm])
def test_worker_0_works_and_knows_no_others(of, environment, capsys):
    environment(of(0))
    assert is_the_one("reglab.sweep")
    assert cluster_from_environment(os.environ) is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("of, size, variable", [(in_tf_config, 3, "TF_CONFIG"), (in_slurm, 4, "SLURM_JOB_ID")])
def test_the_others_leave_and_one_of_them_says_so(of, size, variable, environment, capsys):
    for index, line in ((1, f"reglab: reglab.sweep works in one process, so worker 0 of the {size} does it and the "
                            f"others end; unset {variable} for tasks that are to work apart\n"), (2, "")):
        environment(of(index))
        assert not is_the_one("reglab.sweep")
        assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("variables", [{}, BATCH, INTERACTIVE, PTY], ids=["none", "batch", "salloc", "one task"])
def test_a_process_of_its_own_works(variables, environment):
    environment(variables)
    assert is_the_one("reglab.sweep")


def test_commands_that_one_process_does_ask(environment, capsys, tmp_path):
    environment(in_tf_config(1))
    assert runs([str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert not out and err.startswith("reglab: reglab.runs works in one process")


def test_a_run_in_a_batch_script_says_how_many_tasks_it_leaves_idle(capsys):
    check_alone(Config(), BATCH)
    assert capsys.readouterr().err == ("reglab: trains alone, as one of the 4 tasks of the Slurm job: start it with "
                                       "srun to train on all of them\n")
    for variables in ({}, PTY, CPU_STEP, BATCH | in_tf_config(0), BATCH | {"SLURM_NTASKS": "1"}):
        check_alone(Config(), variables)
    check_alone(Config(strategy="one_device"), BATCH)
    assert capsys.readouterr().err == ""


def test_the_same_run_in_every_task_is_refused_unless_each_names_its_folder():
    with pytest.raises(ConfigError, match=r"^--strategy=one_device: each of the 4 workers that Slurm describes would"):
        check_alone(Config(strategy="one_device"), CPU_STEP)
    check_alone(Config(strategy="one_device", model_dir="a"), CPU_STEP)
    check_alone(Config(strategy="mirrored"), {})
