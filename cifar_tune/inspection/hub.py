"""An exported folder on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from cifar_tune.errors import ExportError

INSTALL = "pip install 'cifar-tune[huggingface]'"


def check_hub() -> None:
    """Returns if huggingface_hub is installed and knows who is asking. Raises ExportError otherwise."""
    try:
        from huggingface_hub import get_token
    except ImportError:
        raise ExportError(f"--push-to-hub needs huggingface_hub, which is not installed: {INSTALL}") from None
    if get_token() is None:
        raise ExportError("--push-to-hub needs a token of the Hugging Face hub: run `hf auth login`, or set HF_TOKEN")


def push(folder: Path, repository: str) -> str:
    """Uploads the folder, making the repository if there is none; returns its address.

    Raises:
        ExportError: the hub cannot be reached, or refuses; the folder stays as it is.
    """
    check_hub()
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    api = HfApi()
    try:
        api.create_repo(repository, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repository)
    except OfflineModeIsEnabled:
        raise ExportError(f"{folder} was not pushed: HF_HUB_OFFLINE is set; it can be pushed later") from None
    except (HfHubHTTPError, HFValidationError) as error:
        raise ExportError(f"{folder} was not pushed: the hub refuses {repository}: {error}") from None
    except (OSError, httpx.TransportError) as error:
        raise ExportError(f"{folder} was not pushed: the hub cannot be reached: {error}; push it later") from None
    return f"https://huggingface.co/{repository}"
