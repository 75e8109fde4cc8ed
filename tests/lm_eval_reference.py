"""The same evaluations through lm_eval: its tasks on local files, its Hugging Face model."""

import os

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import lm_eval  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402


def load(folder, batch_size=8):
    """The model of a Hugging Face folder, in float32."""
    return HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=batch_size)


def rstrip_query(doc):
    return doc["query"].rstrip() + "\nAnswer:"


TASKS = {
    "choice": dict(
        output_type="multiple_choice",
        doc_to_text=rstrip_query,
        doc_to_choice="choices",
        doc_to_target="gold",
        metric_list=[{"metric": name} for name in ("acc", "acc_norm", "acc_bytes")],
    ),
    "lambada": dict(
        output_type="loglikelihood",
        doc_to_text="{{context}}",
        doc_to_target="{{' ' + continuation}}",
        metric_list=[{"metric": "acc"}, {"metric": "perplexity"}],
    ),
    "qa": dict(
        output_type="generate_until",
        doc_to_text="{{context}}",
        doc_to_target="{{answer}}",
        metric_list=[{"metric": "exact_match"}],
        fewshot_split="shots",
        fewshot_config={"sampler": "first_n"},
    ),
}


def evaluate(model, kind, file, cache, *, shots=None, num_shots=0, max_tokens=16):
    """(means by metric, samples in the order of the file) of `kind` on the JSON lines in `file`."""
    task = TASKS[kind] | dict(
        task=f"local_{kind}",
        dataset_path="json",
        dataset_kwargs=dict(
            data_files=dict(test=str(file)) | (dict(shots=str(shots)) if shots else {}),
            cache_dir=str(cache),
        ),
        test_split="test",
        num_fewshot=num_shots,
    )
    if kind == "qa":
        task["generation_kwargs"] = dict(until=["\n"], do_sample=False, max_gen_toks=max_tokens)
    out = lm_eval.simple_evaluate(
        model=model, tasks=[task], bootstrap_iters=0, log_samples=True, verbosity="ERROR"
    )
    means = {name.split(",")[0]: value for name, value in out["results"][f"local_{kind}"].items()}
    samples = sorted(out["samples"][f"local_{kind}"], key=lambda sample: sample["doc_id"])
    return means, samples
