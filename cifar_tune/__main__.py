"""`cifar-tune WORD ...`: the same words as `python -m cifar_tune.WORD ...`."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

from cifar_tune.cli.exit_status import exit_status

COMMANDS = {
    "sweep": "run the trials of a sweep file, or plan, resume, extend them",
    "train": "train one trial in this process, without Ray",
    "confirm": "retrain the best configurations with fresh seeds, open the test split",
    "report": "tables, figures and findings of a results folder",
    "evaluate": "what a trained model is worth: accuracy, confusion, calibration, speed",
    "inspect": "filters, feature maps, Grad-CAM and loss landscape of a trained model",
    "predict": "what a trained model sees in pictures",
    "export": "a trained model as safetensors, ONNX, torch.export or packed ternary, with a model card",
    "dashboard": "a results folder in the browser, live",
    "track": "a results folder to TensorBoard, MLflow or Weights & Biases, live or afterwards",
    "prune": "what checkpoints of a results folder nobody needs; delete them when told to",
    "simulate": "replay recorded curves to choose sampler and scheduler",
    "config": "the JSON schema of a sweep file, for editors",
    "datasets": "what data is there; download, verify, decode it",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the first argument names; returns its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        return int(importlib.import_module(f"cifar_tune.cli.{words[0]}").main(words[1:]))
    lines = ["usage: cifar-tune COMMAND ...", "", *(f"  {word:<10} {what}" for word, what in COMMANDS.items())]
    if not words or words[0] in ("-h", "--help"):
        return exit_status(lambda: print("\n".join(lines)))
    nearest = difflib.get_close_matches(words[0], COMMANDS, n=1)
    hint = f"; did you mean `{nearest[0]}`?" if nearest else ""
    print(f"cifar-tune: no command `{words[0]}`{hint}\n" + "\n".join(lines), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
