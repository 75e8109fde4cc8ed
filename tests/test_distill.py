"""Learning from a teacher: `stocha train` with [distill] against torch and transformers."""

import copy
import json

import numpy as np
import pytest
import torch

from harness import assert_one_line_error, run, run_ok
from test_training import (BATCH, SEED, SEQUENCE, TRAIN_IDS, metrics, quiet_threads,  # noqa: F401
                           recipe, save_model, trainer)
from training_reference import BatchOrder, distilled, layerwise, train

STEPS = 60


def with_teacher(recipe, tmp_path, activation="relu", **distill):  # noqa: F811
    path = recipe([(activation, 1)], steps=STEPS)
    lines = ["[distill]", 'teacher = "init"'] + [f"{key} = {value}" for key, value in distill.items()]
    path.write_text(path.read_text() + "\n".join(lines) + "\n")
    return path


def student_and_teacher(tmp_path):
    """A SiLU model, and itself with ReLU."""
    teacher = save_model(tmp_path / "init", initializer_range=0.2)
    student = copy.deepcopy(teacher)
    for layer in student.model.layers:
        layer.mlp.act_fn = torch.nn.ReLU()
    return student, teacher


@pytest.mark.parametrize("kl_weight", [0.3, 1.0])
def test_losses_equal_torchs_with_the_teachers_distributions(trainer, recipe, tmp_path,  # noqa: F811
                                                             kl_weight):
    student, teacher = student_and_teacher(tmp_path)
    loss = distilled(teacher, kl_weight)
    total = train(student, BatchOrder(TRAIN_IDS, SEQUENCE, SEED), STEPS, BATCH, 1e-3, 5, loss)
    run_ok(trainer, with_teacher(recipe, tmp_path, kl_weight=kl_weight), "--output", tmp_path / "run")
    steps = metrics(tmp_path / "run")[0]
    assert total[-1] < 0.95 * total[0]  # it learns, so later losses test the updates
    np.testing.assert_allclose([step["distillation"] for step in steps], loss.kl, atol=1e-3)
    got = [(1 - kl_weight) * step["loss"] + kl_weight * step["distillation"] for step in steps]
    np.testing.assert_allclose(got, total, atol=1e-3)


def test_errors_equal_torchs_layer_by_layer(trainer, recipe, tmp_path):  # noqa: F811
    student, teacher = student_and_teacher(tmp_path)
    expected = train(student, BatchOrder(TRAIN_IDS, SEQUENCE, SEED), STEPS, BATCH, 1e-3, 5,
                     layerwise(teacher))
    run_ok(trainer, with_teacher(recipe, tmp_path, layerwise_until=1), "--output", tmp_path / "run")
    steps = metrics(tmp_path / "run")[0]
    assert expected[-1] < 0.7 * expected[0]
    assert all(step["loss"] is None for step in steps)
    np.testing.assert_allclose([step["distillation"] for step in steps], expected, rtol=2e-3)


def test_a_dry_run_counts_the_teacher(stocha, trainer, recipe, tmp_path):  # noqa: F811
    save_model(tmp_path / "init")
    alone = json.loads(run_ok(trainer, recipe([("relu", 1)]), "--dry-run", "--json"))
    path = with_teacher(recipe, tmp_path, kl_weight=0.5, layerwise_until=0.5)
    taught = json.loads(run_ok(trainer, path, "--dry-run", "--json"))
    assert taught["tokens_per_s"] > 0 and taught["hours"] > 0
    assert taught["peak_bytes"] > 0 and alone["peak_bytes"] > 0


def test_a_teacher_that_does_not_fit_is_one_line(trainer, recipe, tmp_path):  # noqa: F811
    save_model(tmp_path / "init")
    path = with_teacher(recipe, tmp_path, kl_weight=0.5)
    out = ("--output", tmp_path / "run")
    assert_one_line_error(run(trainer, path, *out, "--set", "distill.teacher=gone"), "gone")
    save_model(tmp_path / "other", vocab_size=98)
    teacher = f"distill.teacher={tmp_path / 'other'}"
    assert_one_line_error(run(trainer, path, *out, "--set", teacher), "another vocabulary", "98")
    assert_one_line_error(run(trainer, path, *out, "--set", "distill.teacher=''"),
                          "distill.teacher is missing")
    assert not (tmp_path / "run").exists()
